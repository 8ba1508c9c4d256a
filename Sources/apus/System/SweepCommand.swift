import CommandGrammar
import ContainerEngine

enum SweepCommand {
    static let command = Command(
        "sweep", usage: "", summary: "Finish removals and clean up after killed commands",
        description:
            "Every command does this in passing. What takes long to remove, a command leaves to this one, which it starts in the background.",
        run: { values in
            try GlobalFlags.engine(values).finishRemovals()
            return 0
        })
}
