import CommandGrammar
import ContainerEngine
import ContainerImage
import ContainerStorage
import JSONText
import LayerArchive
import LinuxSystem
import OCISpec

/// Image lists: one name for images of several platforms.
enum ManifestCommands {
    static let command = Command("manifest", summary: "Make and push lists of images for several platforms") {
        [create, add, annotate, inspect, push, remove, delete, exists]
    }

    private static func registryFlags() -> [Flag] {
        RegistryFlags.flags() + [
            Flag("creds", .string("[USER[:PASSWORD]]"), "Credentials for the registry"),
            RegistryFlags.verification,
        ]
    }

    private static func changeFlags() -> [Flag] {
        [
            Flag("annotation", .list("KEY=VALUE"), "Set an annotation of the image"),
            Flag("arch", .string("ARCH"), "Architecture, instead of what the image says"),
            Flag("features", .commaList("FEATURE"), "Features of the processor that the image needs"),
            Flag("os", .string("OS"), "Operating system, instead of what the image says"),
            Flag("os-version", .string("VERSION"), "Version of the operating system"),
            Flag("variant", .string("VARIANT"), "Variant of the architecture"),
        ]
    }

    private static func change(_ values: Values) throws -> ManifestList.Change {
        var change = ManifestList.Change()
        change.architecture = values.string("arch")
        change.os = values.string("os")
        change.variant = values.string("variant")
        change.osVersion = values.string("os-version")
        change.features = values.list("features")
        for text in values.list("annotation") {
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
                throw EngineError(.invalid, "invalid --annotation \"\(text)\": expected KEY=VALUE")
            }
            change.annotations[String(text[..<equals])] = String(text[text.index(after: equals)...])
        }
        return change
    }

    private static func lists(
        _ values: Values, asking: Bool = false, trusting: Bool = false,
        _ progress: any TransferProgress = SilentProgress()
    ) throws -> ManifestLists {
        var options = TransferOptions()
        options.stores = GlobalFlags.stores(values)
        if asking {
            RegistryFlags.apply(values, to: &options)
            options.credentials = values.string("creds")
        }
        if trusting { TrustFlags.apply(values, to: &options) }
        return try ManifestLists(
            store: GlobalFlags.engine(values).store, options: options, progress: progress)
    }

    static let create = Command(
        "create", usage: "[OPTIONS] LIST [IMAGE...]", summary: "Make a list", arguments: .atLeast(1),
        completing: .objects("images"),
        flags: {
            registryFlags() + [
                Flag("all", .bool, "Add all images of the lists among the images"),
                Flag("amend", short: "a", .bool, "Add to a list of this name that is there"),
            ]
        },
        run: { values in
            let lists = try lists(values, asking: true)
            let had = try lists.find(values.arguments[0]) != nil
            let list = try lists.create(values.arguments[0], amends: values.bool("amend"))
            do {
                for image in values.arguments.dropFirst() {
                    _ = try lists.add(image, to: list, all: values.bool("all"), change: .init())
                }
            } catch {
                if !had { _ = try? lists.remove(list.id) }
                throw error
            }
            Output.printLine(list.id)
            return 0
        })

    static let add = Command(
        "add", usage: "[OPTIONS] LIST IMAGE [IMAGE...]", summary: "Add images to a list",
        description:
            "An image is one that is here, one of a registry, or a transport and what it needs: docker://NAME, oci:DIRECTORY[:TAG] …",
        arguments: .atLeast(2), completing: .objects("images"),
        flags: {
            registryFlags() + changeFlags() + [Flag("all", .bool, "Add all images, if IMAGE is a list")]
        },
        run: { values in
            let lists = try lists(values, asking: true)
            let list = try lists.require(values.arguments[0])
            for image in values.arguments.dropFirst() {
                _ = try lists.add(image, to: list, all: values.bool("all"), change: change(values))
            }
            Output.printLine(list.id)
            return 0
        })

    static let annotate = Command(
        "annotate", usage: "[OPTIONS] LIST IMAGE", summary: "Say more about an image of a list",
        description: "IMAGE is a digest that is in the list, or an image as for add.", arguments: .exactly(2),
        flags: {
            registryFlags() + changeFlags() + [
                Flag(
                    "os-features", .commaList("FEATURE"),
                    "Features of the operating system that the image needs")
            ]
        },
        run: { values in
            let lists = try lists(values, asking: true)
            var change = try change(values)
            change.osFeatures = values.list("os-features")
            let list = try lists.require(values.arguments[0])
            Output.printLine(try lists.annotate(list, values.arguments[1], change).id)
            return 0
        })

    static let inspect = Command(
        "inspect", usage: "[OPTIONS] LIST", summary: "Show a list, one that is here or a registry's",
        arguments: .exactly(1), flags: registryFlags,
        run: { values in
            let text = values.arguments[0]
            let json: JSON
            if !ImageSource.namesTransport(text), let list = try lists(values).find(text) {
                json = list.index.json
            } else {
                var options = TransferOptions()
                RegistryFlags.apply(values, to: &options)
                options.credentials = values.string("creds")
                options.stores = GlobalFlags.stores(values)
                let image = try ImageInspection(ImageSource(parsing: text), options: options)
                json = try JSON(parsing: image.rawManifest)
            }
            Output.printLine(json.text(indent: "    "))
            return 0
        })

    static let push = Command(
        "push", usage: "[OPTIONS] LIST [DESTINATION]", summary: "Push a list and its images",
        arguments: .between(1, 2),
        flags: {
            registryFlags() + [
                Flag("all", .bool, default: "true", "Push the images too, not only the list"),
                Flag(
                    "compression-format", .choice(PushForm.compressionNames),
                    "Compress the layers that are not compressed like this"),
                Flag(
                    "digestfile", .string("FILE"), "Write the digest of the pushed list to FILE",
                    completing: .files),
                Flag(
                    "format", short: "f", .choice(ManifestFormat.allCases.map(\.rawValue)),
                    "Format of the manifests, instead of their own"),
                Flag("purge", aliases: ["rm"], .bool, "Remove the list when it is pushed"),
                Flag("quiet", short: "q", .bool, "Suppress output of progress"),
            ] + TrustFlags.policy() + TrustFlags.signing()
        },
        run: { values in
            let display = TransferDisplay(quiet: values.bool("quiet"))
            let lists = try lists(values, asking: true, trusting: true, display)
            let list = try lists.require(values.arguments[0])
            let text = values.arguments.count > 1 ? values.arguments[1] : list.name
            var form = PushForm(format: values.string("format").flatMap(ManifestFormat.init))
            form.compress(as: values.string("compression-format"))
            form.signing = try TrustFlags.signing(values)
            let digest = try lists.push(
                list, to: ImageSource(parsing: text), all: values.bool("all"), form: form)
            display.note("Storing list signatures")
            if let file = values.string("digestfile") {
                try File.replace(file, with: Array("\(digest)".utf8), durable: false)
            }
            if values.bool("purge") { _ = try lists.remove(list.id) }
            return 0
        })

    static let remove = Command(
        "remove", usage: "LIST IMAGE", summary: "Take an image out of a list", arguments: .exactly(2),
        flags: registryFlags,
        run: { values in
            let lists = try lists(values, asking: true)
            let list = try lists.require(values.arguments[0])
            Output.printLine(try lists.remove(values.arguments[1], from: list).id)
            return 0
        })

    static let delete = Command(
        "rm", usage: "LIST [LIST...]", summary: "Remove lists", arguments: .atLeast(1),
        run: { values in
            let lists = try lists(values)
            return forEach(values.arguments) { name in
                let list = try lists.remove(name)
                Output.printLine("Untagged: \(list.name)")
                Output.printLine("Deleted: \(list.id)")
            }
        })

    static let exists = Command(
        "exists", usage: "LIST", summary: "Say by the exit code whether a list is here",
        arguments: .exactly(1),
        run: { values in try lists(values).find(values.arguments[0]) == nil ? 1 : 0 })
}
