import CommandGrammar
import ContainerEngine
import ContainerImage
import ContainerStorage
import LayerArchive
import LinuxSystem

enum LoadCommand {
    static let command = Command(
        "load", usage: "[OPTIONS]", summary: "Load images from an archive or standard input",
        description:
            "Reads a docker-archive or an oci-archive, plain or compressed, an OCI layout's directory or a dir: image's; or an image by its transport (oci-archive:FILE:TAG, docker-daemon:NAME …).",
        arguments: .none,
        flags: {
            [
                Flag(
                    "input", short: "i", .string("FILE"), "Read from FILE instead of standard input",
                    completing: .files),
                Flag("quiet", short: "q", .bool, "Suppress output of progress"),
            ] + TrustFlags.policy()
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        var options = TransferOptions()
        options.stores = GlobalFlags.stores(values)
        TrustFlags.apply(values, to: &options)
        let transfer = ImageTransfer(
            store: engine.store, options: options,
            progress: TransferDisplay(quiet: values.bool("quiet")))
        for image in try load(values.string("input") ?? "-", transfer) {
            for name in image.names.isEmpty ? [image.record.id.description] : image.names {
                Output.printLine("Loaded image: \(name)")
            }
        }
        return 0
    }

    private static func load(_ path: String, _ transfer: ImageTransfer) throws -> [LoadedImage] {
        if path != "-", let status = try? File.status(path), status.st_mode & S_IFMT == S_IFDIR {
            return try transfer.load(directory: path)
        }
        if !File.exists(path), ImageSource.namesTransport(path) {
            return [LoadedImage(pulled: try transfer.pull(ImageSource(parsing: path)))]
        }
        let input = try ArchiveInput.open(path, "load")
        return try transfer.load(input, name: path == "-" ? "standard input" : path)
    }
}

enum ImportCommand {
    static let command = Command(
        "import", usage: "[OPTIONS] FILE|URL|- [NAME[:TAG]]",
        summary: "Make an image of a root file system's tarball",
        arguments: .between(1, 2), completing: .files,
        flags: {
            [
                Flag("arch", .string("ARCH"), "The image's architecture, instead of the machine's"),
                Flag(
                    "change", short: "c", .list("INSTRUCTION"),
                    "Apply a Dockerfile instruction: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR"
                ),
                Flag("message", short: "m", .string("TEXT"), "Comment in the image's history"),
                Flag("os", .string("OS"), "The image's operating system, instead of linux"),
                Flag("platform", .string("OS/ARCH[/VARIANT]"), "The image's platform"),
                Flag("quiet", short: "q", .bool, "Suppress output of progress"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let changes = try values.list("change").map { try ConfigChange(parsing: $0) }
        let engine = try GlobalFlags.engine(values)
        let path = values.arguments[0]
        let transfer = ImageTransfer(
            store: engine.store, options: try PullCommand.platformOptions(values),
            progress: TransferDisplay(quiet: values.bool("quiet")))
        let name = values.arguments.count > 1 ? values.arguments[1] : nil
        let message = values.string("message")
        let image =
            ["http://", "https://"].contains(where: path.hasPrefix)
            ? try transfer.importRootfs(url: path, name: name, changes: changes, message: message)
            : try transfer.importRootfs(
                ArchiveInput.open(path, "import"), source: path == "-" ? "standard input" : path,
                name: name, changes: changes, message: message)
        Output.printLine(image.id.description)
        return 0
    }
}

enum ArchiveInput {
    /// A file, or standard input for `-`.
    static func open(_ path: String, _ command: String) throws -> Descriptor {
        guard path == "-" else {
            let file = try File.open(path)
            guard try FD.stat(file.raw).st_mode & S_IFMT != S_IFDIR else {
                throw EngineError(.invalid, "cannot \(command) \(path): it is a directory, not an archive")
            }
            return file
        }
        guard isatty(STDIN_FILENO) == 0 else {
            throw EngineError(
                .invalid, "cannot \(command) from a terminal: name a file, or pipe an archive in")
        }
        return try File.open("/dev/stdin")
    }
}

enum SaveCommand {
    static let command = Command(
        "save", usage: "[OPTIONS] IMAGE [IMAGE...]", summary: "Save images to an archive",
        arguments: .atLeast(1), completing: .objects("images"),
        flags: {
            [
                Flag(
                    "format", .choice(SaveFormat.allCases.map(\.rawValue)), default: "docker-archive",
                    "Format of the archive"),
                Flag(
                    "output", short: "o", .string("FILE"),
                    "Write to FILE instead of standard output, or to a place (oci:DIRECTORY:TAG …)",
                    completing: .files),
                Flag("quiet", short: "q", .bool, "Suppress output of progress"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        let format = SaveFormat(rawValue: values.string("format") ?? "") ?? .dockerArchive
        let images = try engine.imagesToSave(values.arguments)
        let transfer = ImageTransfer(
            store: engine.store, options: TransferOptions(),
            progress: TransferDisplay(quiet: values.bool("quiet")))
        if let output = values.string("output"), ImageSource.namesTransport(output) {
            guard images.count == 1, !values.isSet("format") else {
                throw EngineError(.invalid, "\(output) takes one image, in its own format")
            }
            var options = TransferOptions()
            options.stores = GlobalFlags.stores(values)
            var form = PushForm()
            form.keepsPlainLayers = true
            _ = try ImageTransfer(store: engine.store, options: options, progress: transfer.progress)
                .push(images[0].record, to: ImageSource(parsing: output), form: form)
            return 0
        }
        if let output = values.string("output"), output != "-" {
            try transfer.save(images, as: format, to: output)
            return 0
        }
        guard format != .ociDirectory, format != .dockerDirectory else {
            throw EngineError(.invalid, "--format \(format.rawValue) needs --output DIR")
        }
        guard isatty(STDOUT_FILENO) == 0 else {
            throw EngineError(.invalid, "refusing to save to a terminal: use --output, or redirect")
        }
        try transfer.save(images, as: format, to: STDOUT_FILENO, name: "standard output")
        return 0
    }
}
