import CommandGrammar
import ContainerEngine
import ContainerImage
import LayerArchive
import LinuxSystem

enum CopyCommand {
    static let command = Command(
        "copy", usage: "[OPTIONS] SOURCE DESTINATION",
        summary: "Copy an image from one place to another",
        description:
            "A place is a transport and what it needs: docker://NAME, oci:DIRECTORY[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME], dir:DIRECTORY, docker-daemon:NAME, apus:[[ROOT]]NAME. The local store is not used unless it is named. What need not change arrives to the byte; blobs that are there are not sent.",
        examples: [
            "apus copy docker://registry.example/app:1 oci:app:1",
            "apus copy --all docker://a.example/app:1 docker://b.example/app:1",
            "apus copy apus:app:1 docker-archive:app.tar:app:1",
        ],
        arguments: .exactly(2),
        flags: {
            CopyFlags.both + CopyFlags.place("src-") + CopyFlags.place("dest-") + CopyFlags.platform()
                + TrustFlags.policy() + TrustFlags.signing() + form()
        }, run: { values in CopyFlags.withExitCodes { try run(values) } })

    private static func form() -> [Flag] {
        [
            Flag("additional-tag", .commaList("NAME:TAG"), "More names (docker-archive: only)"),
            Flag("all", short: "a", .bool, "Copy all images of a list"),
            Flag("dest-compress", .bool, "Compress plain layers (dir: only)"),
            Flag(
                "dest-compress-format", .choice(PushForm.compressionNames),
                "Compress the layers that are not compressed like this"),
            Flag(
                "dest-compress-level", .integer("LEVEL"),
                "How hard to compress: 1 to 9 for gzip, 1 to 20 for zstd"),
            Flag("dest-decompress", .bool, "Store layers without compression (dir: only)"),
            Flag(
                "dest-force-compress-format", .bool,
                "Compress anew what is compressed in the format that is wanted"),
            Flag(
                "dest-oci-accept-uncompressed-layers", .bool,
                "Leave plain layers plain (oci: and oci-archive: only)"),
            Flag("dest-precompute-digests", .bool, "Never send a layer that is there (always so)"),
            Flag(
                "digestfile", .string("FILE"), "Write the digest of the copied manifest to FILE",
                completing: .files),
            Flag(
                "format", short: "f", .choice(ManifestFormat.allCases.map(\.rawValue)),
                "Format of the manifest, instead of the source's"),
            Flag(
                "image-parallel-copies", .unsignedInteger("NUMBER"), default: "3",
                "How many layers are copied at once"),
            Flag(
                "multi-arch", .choice(["system", "all", "index-only"]), default: "system",
                "Which images of a list are copied"),
            Flag("preserve-digests", .bool, "Fail rather than change a digest"),
            Flag("quiet", short: "q", .bool, "Suppress output of progress"),
            CopyFlags.repetition,
        ]
    }

    static func run(_ values: Values) throws -> Int32 {
        var job = CopyJob(
            try ImageSource(parsingTransport: values.arguments[0]),
            to: try ImageSource(parsingTransport: values.arguments[1]))
        job.sourceOptions = try CopyFlags.options(values, "src-")
        job.sourceOptions.platform = CopyFlags.chosenPlatform(values)
        job.destinationOptions = try CopyFlags.options(values, "dest-")
        CopyFlags.applyCommon(values, to: &job.sourceOptions)
        CopyFlags.applyCommon(values, to: &job.destinationOptions)
        job.destinationOptions.threads = Int(min(max(values.uint("image-parallel-copies") ?? 3, 1), 64))
        job.form = try form(values, job.destination)
        job.form.signing = try TrustFlags.signing(values)
        job.additionalNames = values.list("additional-tag")
        guard !values.bool("all") || !values.isSet("multi-arch") else {
            throw EngineError(.invalid, "--all and --multi-arch contradict each other")
        }
        switch values.string("multi-arch") {
        case "all": job.selection = .all
        case "index-only": job.selection = .indexOnly
        default: job.selection = values.bool("all") ? .all : .platform
        }
        // An archive on standard output is not to have our words in it.
        let output = "\(job.destination)".contains("/dev/stdout") ? STDERR_FILENO : STDOUT_FILENO
        let display = TransferDisplay(quiet: values.bool("quiet"), to: output)
        job.progress = display
        let digest = try job.run()
        display.note("Storing signatures")
        if let file = values.string("digestfile") {
            try File.replace(file, with: Array(digest.description.utf8), durable: false)
        }
        return 0
    }

    private static func form(_ values: Values, _ destination: ImageSource) throws -> PushForm {
        var form = PushForm(
            format: values.string("format").flatMap(ManifestFormat.init),
            level: values.int("dest-compress-level"), again: values.bool("dest-force-compress-format"))
        form.compress(as: values.string("dest-compress-format"))
        form.keepsPlainLayers = values.bool("dest-oci-accept-uncompressed-layers")
        form.preservesDigests = values.bool("preserve-digests")
        if case .directory = destination {
            form.compressesDirectory = values.bool("dest-compress")
            form.decompresses = values.bool("dest-decompress")
            guard !form.compressesDirectory || !form.decompresses else {
                throw EngineError(.invalid, "--dest-compress and --dest-decompress contradict each other")
            }
        } else {
            for flag in ["dest-compress", "dest-decompress"] where values.bool(flag) {
                Output.warn("--\(flag) changes nothing: the destination is no dir:")
            }
        }
        try PushCommand.checkLevel(form, flag: "dest-compress-level")
        return form
    }
}
