import CommandGrammar
import ContainerRuntime

enum CheckpointCommand {
    static let command = Command(
        "checkpoint", usage: "[command options] <container-id>", summary: "checkpoint a running container",
        arguments: .exactly(1)
    ) { _ in throw RuntimeError(.unsupported, "checkpoint is not supported") }
}

enum RestoreCommand {
    static let command = Command(
        "restore", usage: "[command options] <container-id>",
        summary: "restore a container from a previous checkpoint", arguments: .exactly(1)
    ) { _ in throw RuntimeError(.unsupported, "restore is not supported") }
}
