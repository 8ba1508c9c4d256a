import CommandGrammar
import ContainerEngine
import LayerArchive
import LinuxSystem

enum ExportCommand {
    static let command = Command(
        "export", usage: "[OPTIONS] CONTAINER", summary: "Write a container's files as a tar archive",
        description: "Volumes are left out: where they are mounted, the archive has what is below them.",
        arguments: .exactly(1), completing: .objects("containers"),
        flags: {
            [
                Flag(
                    "output", short: "o", .string("FILE"), "Write to FILE instead of standard output",
                    completing: .files)
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        let record = try engine.find(values.arguments[0])
        guard let path = values.string("output"), path != "-" else {
            guard isatty(STDOUT_FILENO) == 0 else {
                throw EngineError(.invalid, "refusing to export to a terminal: use --output, or redirect")
            }
            try engine.export(record, to: DescriptorSink(STDOUT_FILENO))
            return 0
        }
        // A device or a pipe is written to, a file replaced when its contents are whole.
        if let status = try? File.status(path), status.st_mode & S_IFMT != S_IFREG {
            try engine.export(record, to: DescriptorSink(owning: File.open(path, O_WRONLY)))
            return 0
        }
        let partial = "\(path).\(getpid()).tmp"
        do {
            let file = try File.open(partial, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
            try engine.export(record, to: DescriptorSink(file.raw))
            try file.close()
            try File.rename(partial, to: path)
        } catch {
            try? File.unlink(partial)
            throw error
        }
        return 0
    }
}
