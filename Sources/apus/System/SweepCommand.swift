import CommandGrammar
import ContainerEngine
import LinuxSystem

enum SweepCommand {
    static let command = Command(
        "sweep", usage: "", summary: "Finish what commands left to do, and clean up after killed ones",
        description:
            "Every command does this in passing. What takes long to remove, and what has to be written out to the disk, a command leaves to this one, which it starts in the background.",
        flags: {
            [
                Flag(
                    "mount-namespace", .uint, "Work in the mount namespace of an open descriptor",
                    hidden: true)
            ]
        },
        run: { values in
            if let descriptor = values.uint("mount-namespace") {
                try PrivateMounts.leave(to: Int32(clamping: descriptor))
            }
            try GlobalFlags.sweeper(values)?.finishWork()
            return 0
        })
}
