import CommandGrammar
import ContainerEngine

enum SweepCommand {
    static let command = Command(
        "sweep", usage: "", summary: "Finish what commands left to do, and clean up after killed ones",
        description:
            "Every command does this in passing. What takes long to remove, and what has to be written out to the disk, a command leaves to this one, which it starts in the background.",
        run: { values in
            try GlobalFlags.sweeper(values)?.finishWork()
            return 0
        })
}
