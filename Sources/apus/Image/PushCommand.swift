import CommandGrammar
import ContainerEngine
import ContainerImage
import ContainerStorage
import LayerArchive
import LinuxSystem

enum PushCommand {
    static let command = Command(
        "push", usage: "[OPTIONS] IMAGE [DESTINATION]",
        summary: "Push an image to a registry, a layout or an archive",
        description:
            "Without DESTINATION the image goes where its name says. A destination is a name, or a transport and a path: docker://NAME, oci:DIRECTORY[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME], dir:DIRECTORY, docker-daemon:NAME, apus:[[ROOT]]NAME. What is compressed goes as it is and keeps its digest; plain layers are compressed by gzip.",
        arguments: .between(1, 2), completing: .objects("images"),
        flags: {
            PullCommand.transferFlags() + RegistryFlags.flags() + TrustFlags.policy() + TrustFlags.signing()
                + [
                    Flag(
                        "all-tags", short: "a", .bool, "Push all tags of the repository that IMAGE names"),
                    Flag("compress", .bool, "Compress plain layers in a dir: destination, too"),
                    Flag(
                        "compression-format", .choice(PushForm.compressionNames),
                        "Compress the layers that are not compressed like this"),
                    Flag(
                        "compression-level", .integer("LEVEL"),
                        "How hard to compress: 1 to 9 for gzip, 1 to 20 for zstd"),
                    Flag("creds", .string("[USER[:PASSWORD]]"), "Credentials for the registry"),
                    Flag(
                        "digestfile", .string("FILE"), "Write the digest of the pushed manifest to FILE",
                        completing: .files),
                    Flag("disable-content-trust", .bool, "For Docker's sake: changes nothing", hidden: true),
                    Flag(
                        "force-compression", .bool,
                        "Compress anew what is already compressed in the format that is wanted"),
                    Flag(
                        "format", short: "f", .choice(ManifestFormat.allCases.map(\.rawValue)),
                        "Format of the manifest, instead of the image's own"),
                ] + RegistryFlags.repetition()
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let name = values.arguments[0]
        var form = try form(values)
        form.signing = try TrustFlags.signing(values)
        let engine = try GlobalFlags.engine(values)
        var options = TransferOptions()
        RegistryFlags.apply(values, to: &options)
        try RegistryFlags.applyRepetition(values, to: &options)
        options.credentials = values.string("creds")
        options.stores = GlobalFlags.stores(values)
        TrustFlags.apply(values, to: &options)
        let display = TransferDisplay(quiet: values.bool("quiet"))
        let transfer = ImageTransfer(store: engine.store, options: options, progress: display)
        func push(_ image: SavedImage, to destination: ImageSource) throws {
            display.note("Getting image source signatures")
            let digest = try transfer.push(image.record, to: destination, form: form)
            display.note("Storing signatures")
            if let file = values.string("digestfile") {
                try File.replace(file, with: Array(digest.description.utf8), durable: false)
            }
        }
        if values.bool("all-tags") {
            guard values.arguments.count == 1 else {
                throw EngineError(.invalid, "--all-tags goes where the names say, and takes no destination")
            }
            for image in try engine.imagesOfRepository(name) {
                try push(image, to: .registry(image.names[0].canonical))
            }
            return 0
        }
        let image = try engine.imagesToSave([name])[0]
        let destination: ImageSource
        if values.arguments.count > 1 {
            destination = try ImageSource(parsing: values.arguments[1])
        } else {
            guard let own = image.names.first else {
                throw EngineError(.invalid, "cannot push \(name): it is no name, say where to push it")
            }
            destination = .registry(own.canonical)
        }
        try push(image, to: destination)
        return 0
    }

    private static func form(_ values: Values) throws -> PushForm {
        var form = PushForm(
            format: values.string("format").flatMap(ManifestFormat.init),
            level: values.int("compression-level"), again: values.bool("force-compression"))
        form.compress(as: values.string("compression-format"))
        form.compressesDirectory = values.bool("compress")
        try checkLevel(form, flag: "compression-level")
        return form
    }

    static func checkLevel(_ form: PushForm, flag: String) throws {
        guard let level = form.level else { return }
        let highest = form.compression == .zstd ? 20 : 9
        guard (1...highest).contains(level) else {
            throw EngineError(
                .invalid,
                "invalid --\(flag) \(level): \(form.compression?.rawValue ?? "gzip") has 1 to \(highest)")
        }
    }
}
