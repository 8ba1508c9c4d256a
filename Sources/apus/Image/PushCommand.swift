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
            "Without DESTINATION the image goes where its name says. A destination is a name, or a transport and a path: docker://NAME, oci:DIRECTORY[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME], dir:DIRECTORY. What is compressed goes as it is and keeps its digest; plain layers are compressed by gzip.",
        arguments: .between(1, 2), completing: .objects("images"),
        flags: {
            PullCommand.transferFlags() + RegistryFlags.flags() + [
                Flag(
                    "all", .bool,
                    "Push all images of a list (an image here is never a list: it makes no difference)"),
                Flag(
                    "compression-format", .choice(["gzip", "zstd"]),
                    "Compress the layers that are not compressed like this"),
                Flag("creds", .string("[USER[:PASSWORD]]"), "Credentials for the registry"),
                Flag(
                    "digestfile", .string("FILE"), "Write the digest of the pushed manifest to FILE",
                    completing: .files),
                Flag(
                    "format", short: "f", .choice(ManifestFormat.allCases.map(\.rawValue)),
                    "Format of the manifest, instead of the image's own"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let name = values.arguments[0]
        let form = PushForm(
            format: values.string("format").flatMap(ManifestFormat.init),
            compression: values.string("compression-format").flatMap(Compression.init))
        let engine = try GlobalFlags.engine(values)
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
        var options = TransferOptions()
        RegistryFlags.apply(values, to: &options)
        options.credentials = values.string("creds")
        let display = TransferDisplay(quiet: values.bool("quiet"))
        display.note("Getting image source signatures")
        let digest = try ImageTransfer(store: engine.store, options: options, progress: display)
            .push(image.record, to: destination, form: form)
        display.note("Storing signatures")
        if let file = values.string("digestfile") {
            try File.replace(file, with: Array(digest.description.utf8), durable: false)
        }
        return 0
    }
}
