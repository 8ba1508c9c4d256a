import CommandGrammar
import ContainerEngine
import ContainerImage
import ContainerStorage
import LinuxSystem

/// The program's commands, and the way from an error to an exit code.
enum Application {
    static let version = "0.1.0"

    static let tree = CommandTree(
        program: "apus", summary: "Build, ship and run OCI containers without a daemon",
        version: "apus version \(version)",
        globals: GlobalFlags.flags,
        groups: [
            CommandTree.Group(
                "Containers",
                [
                    RunCommand.command, CreateCommand.command, StartCommand.command, PsCommand.command,
                    LogsCommand.command, ExecCommand.command, AttachCommand.command, StopCommand.command,
                    RestartCommand.command, KillCommand.command, WaitCommand.command, RmCommand.command,
                    PortCommand.command, InspectCommand.command, CommitCommand.command,
                    ContainerCopyCommand.command, DiffCommand.command, ExportCommand.command,
                ]),
            CommandTree.Group(
                "Images",
                [
                    PullCommand.command, PushCommand.command, CopyCommand.command, ImagesCommand.command,
                    LoadCommand.command,
                    SaveCommand.command, ImportCommand.command, TagCommand.command, RmiCommand.command,
                    HistoryCommand.command, LoginCommand.command, LogoutCommand.command,
                    ListTagsCommand.command, DeleteCommand.command, SyncCommand.command,
                    SearchCommand.command, ManifestDigestCommand.command, StandaloneSignCommand.command,
                    StandaloneVerifyCommand.command,
                ]),
            CommandTree.Group(
                "Nouns",
                [
                    Command("container", summary: "Manage containers") {
                        [
                            RunCommand.command, CreateCommand.command, StartCommand.command,
                            PsCommand.command.named("ls", aliases: ["list", "ps"]), LogsCommand.command,
                            ExecCommand.command, AttachCommand.command, StopCommand.command,
                            RestartCommand.command, KillCommand.command, WaitCommand.command,
                            RmCommand.command, PortCommand.command, ContainerInspectCommand.command,
                            CommitCommand.command, ContainerCopyCommand.command, DiffCommand.command,
                            ExportCommand.command, CleanupCommand.command, HoldCommand.command,
                        ]
                    },
                    Command("image", summary: "Manage images") {
                        [
                            PullCommand.command, PushCommand.command, CopyCommand.command,
                            ImagesCommand.command.named("ls", aliases: ["list"]), LoadCommand.command,
                            SaveCommand.command, ImportCommand.command,
                            TagCommand.command, RmiCommand.command.named("rm", aliases: ["remove"]),
                            ImageInspectCommand.command, ImageMountCommand.command,
                            ImageUnmountCommand.command, ImageTreeCommand.command,
                            UnpackCommand.command, RepackCommand.command, HistoryCommand.command,
                            DiffCommand.imageCommand, ReferrersCommand.command, ListTagsCommand.command,
                            DeleteCommand.command, SyncCommand.command, SearchCommand.command,
                            SignCommand.command, TrustCommands.command, GenerateKeyCommand.command,
                            ManifestDigestCommand.command, StandaloneSignCommand.command,
                            StandaloneVerifyCommand.command,
                        ]
                    },
                    Command("system", summary: "Manage the store") {
                        [
                            DiskUsageCommand.command, PruneCommand.command, CheckCommand.command,
                            MigrateCommand.command, SweepCommand.command,
                            InfoCommand.command,
                        ]
                    },
                    ManifestCommands.command,
                    ArtifactCommands.command,
                    Command("volume", summary: "Manage volumes") {
                        [
                            VolumeCreateCommand.command, VolumeListCommand.command,
                            VolumeInspectCommand.command, VolumeRemoveCommand.command,
                            VolumePruneCommand.command,
                        ]
                    },
                ]),
            CommandTree.Group("System", [InfoCommand.command, VersionCommand.command]),
        ])

    static func run(_ arguments: [String]) -> Int32 {
        signal(SIGPIPE, SIG_IGN)
        do throws(UsageError) {
            switch try tree.parse(arguments) {
            case .command(let command, let values):
                for warning in values.warnings { Output.complain(warning) }
                do {
                    guard let action = command.action else { return 0 }
                    return try action(values)
                } catch {
                    return report(error, command: values.path.last ?? "")
                }
            case .text(let text):
                Output.print(text)
                return 0
            case .completion(let words):
                Output.print(tree.candidates(for: words, objects: CompletionObjects.names).text)
                return 0
            case .manual(let directory):
                return writeManual(to: directory)
            }
        } catch {
            Output.complain("\(error)")
            Output.complain(error.advice, prefix: false)
            return 125
        }
    }

    /// Commands that run a container's process answer with Docker's codes for
    /// what kept it from running (docker run, "Exit status"); the others, which
    /// failed as a whole, with 125 as Podman's do.
    private static func report(_ error: any Error, command: String) -> Int32 {
        if case let exit as ExitCode = error { return exit.code }
        let error = EngineError(error)
        Output.complain(error.message)
        guard ["run", "start", "exec"].contains(command) else { return 125 }
        return switch error.code {
        case .commandNotFound: 127
        case .commandNotExecutable: 126
        default: 125
        }
    }

    private static func writeManual(to directory: String) -> Int32 {
        do {
            try File.makeDirectories(directory)
            for page in tree.manualPages() {
                try File.replace("\(directory)/\(page.name)", with: Array(page.text.utf8), durable: false)
            }
            return 0
        } catch {
            Output.complain("\(error)")
            return 1
        }
    }
}

/// Ends the program with a code and without a word: what there was to say is said.
struct ExitCode: Error {
    var code: Int32
}

/// Several objects, each tried; one failure does not keep the rest from it.
/// - Returns: 0, or `failure` when one failed.
func forEach(_ names: [String], failure: Int32 = 1, _ body: (String) throws -> Void) -> Int32 {
    var code: Int32 = 0
    for name in names {
        do {
            try body(name)
        } catch {
            Output.complain(EngineError(error).message)
            code = failure
        }
    }
    return code
}
