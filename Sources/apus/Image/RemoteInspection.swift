import CommandGrammar
import ContainerEngine
import ContainerImage
import GoTemplate
import JSONText
import LinuxSystem

/// `inspect` of what is not here: in a registry, a layout, an archive.
enum RemoteInspection {
    static func flags() -> [Flag] {
        CopyFlags.place("") + CopyFlags.platform() + [
            Flag("config", .bool, "Show the image's config (of an image elsewhere)"),
            Flag("no-tags", short: "n", .bool, "Do not list the repository's tags (of an image elsewhere)"),
            Flag("raw", .bool, "Show the manifest or the config to the byte (of an image elsewhere)"),
            CopyFlags.repetition,
        ]
    }

    static func show(_ text: String, _ values: Values) throws {
        guard !values.bool("raw") || !values.isSet("format") else {
            throw EngineError(.invalid, "--raw and --format contradict each other")
        }
        var options = try CopyFlags.options(values, "")
        options.platform = CopyFlags.chosenPlatform(values)
        let image = try ImageInspection(
            ImageSource(parsing: text), options: options, progress: TransferDisplay(quiet: true))
        if values.bool("raw") {
            try FD.writeAll(STDOUT_FILENO, values.bool("config") ? image.rawConfig() : image.rawManifest)
            return
        }
        let document =
            try values.bool("config") ? image.config() : image.summary(listsTags: !values.bool("no-tags"))
        if let format = values.string("format"), format != "json" {
            var template = try Template(format)
            template.missingField = .errorAtTop
            Output.printLine(try template.render(document))
        } else {
            Output.printLine(document.text(indent: "    "))
        }
    }
}

enum ListTagsCommand {
    static let command = Command(
        "list-tags", usage: "[OPTIONS] docker://REPOSITORY|docker-archive:FILE",
        summary: "List the tags of a repository or an archive", arguments: .exactly(1),
        flags: { CopyFlags.place("") + [CopyFlags.repetition] },
        run: { values in CopyFlags.withExitCodes { try run(values) } })

    static func run(_ values: Values) throws -> Int32 {
        let source = try ImageSource(parsingTransport: values.arguments[0])
        let options = try CopyFlags.options(values, "")
        var document = JSONObject()
        if case .registry(let text) = source {
            let place = try RegistryPlace(text, options: options)
            guard place.reference.tag == nil, place.reference.digest == nil else {
                throw EngineError(.invalid, "no tag or digest allowed in \(text): name a repository")
            }
            document["Repository"] = .string(place.reference.repository)
            document["Tags"] = try place.tags().json
        } else {
            document["Tags"] = try source.archiveTags().json
        }
        Output.printLine(JSON.object(document).text(indent: "    "))
        return 0
    }
}

enum DeleteCommand {
    static let command = Command(
        "delete", usage: "[OPTIONS] docker://NAME", summary: "Delete an image from a registry",
        description: "Removes the manifest that NAME leads to, and with it all tags that name the same.",
        arguments: .exactly(1), flags: { CopyFlags.place("") + [CopyFlags.repetition] },
        run: { values in CopyFlags.withExitCodes { try run(values) } })

    static func run(_ values: Values) throws -> Int32 {
        let source = try ImageSource(parsingTransport: values.arguments[0])
        guard case .registry(let text) = source else {
            throw EngineError(
                .invalid,
                "deleting \(source) is not supported: only docker:// (and `apus rmi` for images here)")
        }
        try RegistryPlace(text, options: CopyFlags.options(values, ""), pushes: true).delete()
        return 0
    }
}
