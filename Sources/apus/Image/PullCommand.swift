import CommandGrammar
import ContainerEngine
import ContainerImage
import ContainerStorage
import LayerArchive
import OCISpec

enum PullCommand {
    static let command = Command(
        "pull", usage: "[OPTIONS] IMAGE [IMAGE...]",
        summary: "Pull an image from a registry, a layout or an archive",
        description:
            "An image is a name (NAME[:TAG|@DIGEST], with registries.conf deciding what a short one means), or a transport and a path: docker://NAME, oci:DIRECTORY[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME], dir:DIRECTORY, docker-daemon:NAME, apus:[[ROOT]]NAME.",
        arguments: .atLeast(1), completing: .objects("images"),
        flags: {
            transferFlags() + RegistryFlags.flags() + TrustFlags.policy() + [
                Flag(
                    "arch", .string("ARCH"),
                    "Use ARCH instead of the machine's architecture to choose the image"),
                Flag("creds", .string("[USER[:PASSWORD]]"), "Credentials for the registry"),
                Flag("os", .string("OS"), "Use OS instead of the machine's to choose the image"),
                Flag("platform", .string("OS/ARCH[/VARIANT]"), "Choose the image by platform"),
                Flag("variant", .string("VARIANT"), "Use VARIANT of the architecture to choose the image"),
            ] + RegistryFlags.repetition()
        }, run: run)

    static func transferFlags() -> [Flag] {
        [
            Flag("quiet", short: "q", .bool, "Suppress output of progress"),
            RegistryFlags.verification,
        ]
    }

    static func run(_ values: Values) throws -> Int32 {
        let preparation = RegistryPreparation(
            for: values.arguments.compactMap { try? ImageSource(parsing: $0) })
        defer { preparation.finish() }
        let engine = try GlobalFlags.engine(values)
        var options = try options(values)
        RegistryFlags.apply(values, to: &options)
        try RegistryFlags.applyRepetition(values, to: &options)
        options.credentials = values.string("creds")
        options.stores = GlobalFlags.stores(values)
        if let variant = values.string("variant") {
            var platform = options.platform ?? .host
            platform.variant = variant
            options.platform = platform
        }
        let transfer = ImageTransfer(
            store: engine.store, options: options, progress: TransferDisplay(quiet: values.bool("quiet")))
        return forEach(values.arguments, failure: 125) { name in
            Output.printLine(try transfer.pull(ImageSource(parsing: name)).id.hex)
        }
    }

    /// What `--platform`, `--arch`, `--os` and `--tls-verify` mean.
    static func options(_ values: Values) throws -> TransferOptions {
        var options = try platformOptions(values)
        RegistryFlags.applyVerification(values, to: &options)
        TrustFlags.apply(values, to: &options)
        return options
    }

    static func platformOptions(_ values: Values) throws -> TransferOptions {
        var options = TransferOptions()
        if let text = values.string("platform") {
            guard !values.isSet("arch"), !values.isSet("os") else {
                throw EngineError(.invalid, "--platform contradicts --arch and --os: use one or the other")
            }
            guard let platform = Platform(parsing: text) else {
                throw EngineError(.invalid, "invalid --platform \"\(text)\": use OS/ARCH[/VARIANT]")
            }
            options.platform = platform
        } else if values.isSet("arch") || values.isSet("os") {
            options.platform = Platform(
                os: values.string("os") ?? Platform.host.os,
                architecture: values.string("arch") ?? Platform.host.architecture)
        }
        return options
    }

    /// The image for `run` and `create`: the one here, or fetched as `--pull` says.
    static func imageForContainer(_ name: String, _ values: Values, _ engine: Engine) throws -> ImageRecord {
        let policy = values.string("pull") ?? "missing"
        let options = try options(values)
        let here = policy == "always" ? nil : try engine.findImage(name)
        if policy != "newer", let here {
            if let platform = options.platform,
                platform.os != here.os || platform.architecture != here.architecture
            {
                guard policy == "missing" else {
                    throw EngineError(
                        .notFound, "\(name) is here for \(here.os)/\(here.architecture), not for \(platform)")
                }
            } else {
                return here
            }
        }
        guard policy != "never" else {
            throw EngineError(.notFound, "no image \(name) is here, and --pull=never forbids fetching it")
        }
        let transfer = ImageTransfer(
            store: engine.store, options: options, progress: TransferDisplay(quiet: values.bool("quiet")))
        do {
            return try transfer.pull(ImageSource(parsing: name))
        } catch {
            // What cannot be compared with the registry's is new enough.
            guard policy == "newer", let here else { throw error }
            return here
        }
    }
}
