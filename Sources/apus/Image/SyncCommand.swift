import CommandGrammar
import ContainerEngine
import ContainerImage
import LayerArchive
import LinuxSystem

enum SyncCommand {
    static let command = Command(
        "sync", usage: "[OPTIONS] --src TRANSPORT --dest TRANSPORT SOURCE DESTINATION",
        summary: "Copy many images from one place to another",
        description:
            "SOURCE is a repository (all of its tags are copied) or an image of a registry (docker), a directory with dir: images below it (dir), or a file that names registries, repositories and tags (yaml; see skopeo-sync(1)). DESTINATION is a registry's repository or a directory.",
        examples: [
            "apus sync --src docker --dest dir --scoped registry.example/busybox /media/usb",
            "apus sync --src yaml --dest docker sync.yml mirror.example/all",
        ],
        arguments: .exactly(2),
        flags: {
            CopyFlags.both + TrustFlags.policy() + TrustFlags.signing()
                + CopyFlags.place("src-", hasFiles: false)
                + CopyFlags.place("dest-", hasFiles: false) + [
                    Flag("all", short: "a", .bool, "Copy all images of a list"),
                    Flag("append-suffix", .string("SUFFIX"), "Put SUFFIX behind each tag at the destination"),
                    Flag("dest", short: "d", .choice(["docker", "dir"]), "Transport of the destination"),
                    Flag(
                        "digestfile", .string("FILE"),
                        "Write each copied manifest's digest and name to FILE", completing: .files),
                    Flag("dry-run", .bool, "Only say what would be copied"),
                    Flag(
                        "format", short: "f", .choice(ManifestFormat.allCases.map(\.rawValue)),
                        "Format of the manifests, instead of the sources'"),
                    Flag("keep-going", .bool, "Go on after an image that cannot be copied"),
                    Flag("preserve-digests", .bool, "Fail rather than change a digest"),
                    CopyFlags.repetition,
                    Flag("scoped", .bool, "Put the whole name of the source below the destination"),
                    Flag("src", short: "s", .choice(["docker", "dir", "yaml"]), "Transport of the source"),
                ]
        }, run: { values in CopyFlags.withExitCodes { try run(values) } })

    static func run(_ values: Values) throws -> Int32 {
        guard let from = values.string("src") else {
            throw EngineError(.invalid, "a source transport must be specified: --src")
        }
        guard let to = values.string("dest") else {
            throw EngineError(.invalid, "a destination transport must be specified: --dest")
        }
        guard from != "dir" || to != "dir" else {
            throw EngineError(.invalid, "sync from 'dir' to 'dir' is not there: copy the files")
        }
        let (source, destination) = (values.arguments[0], values.arguments[1])
        var failures = 0
        var sourceOptions = try CopyFlags.options(values, "src-", hasFiles: false)
        var destinationOptions = try CopyFlags.options(values, "dest-", hasFiles: false)
        CopyFlags.applyCommon(values, to: &sourceOptions)
        CopyFlags.applyCommon(values, to: &destinationOptions)
        let signing = try TrustFlags.signing(values)
        let sources: [SyncSource]
        switch from {
        case "docker": sources = [try .repository(source, options: sourceOptions)]
        case "dir": sources = [try .directory(source, options: sourceOptions)]
        default:
            sources = try SyncFile(source).sources(options: sourceOptions) { error in
                failures += 1
                Output.complain("\(error): left out")
            }
        }
        var digests: [String] = []
        var copied = 0
        let dry = values.bool("dry-run")
        if dry { Output.warn("running in dry-run mode") }
        for source in sources {
            for (position, image) in source.images.enumerated() {
                let target = try self.target(image.name, destination, to, values)
                let places = "from=\"\(transport(image.source))\" to=\"\(transport(target))\""
                let count = "\(position + 1)/\(source.images.count)"
                report("\(dry ? "Would have copied" : "Copying") image ref \(count)", places)
                guard !dry else {
                    copied += 1
                    continue
                }
                var job = CopyJob(image.source, to: target)
                job.sourceOptions = source.options
                job.destinationOptions = destinationOptions
                job.selection = values.bool("all") ? .all : .platform
                job.form.format = values.string("format").flatMap(ManifestFormat.init)
                job.form.signing = signing
                job.form.preservesDigests = values.bool("preserve-digests")
                job.progress = TransferDisplay(quiet: false, to: STDOUT_FILENO)
                do {
                    if case .directory(let path) = target, File.exists(path) {
                        throw EngineError(
                            .conflict, "refusing to overwrite the destination directory \"\(path)\"")
                    }
                    digests.append("\(try job.run()) \(transport(target))")
                    copied += 1
                } catch {
                    guard values.bool("keep-going") else { throw error }
                    failures += 1
                    Output.complain(EngineError(error).message)
                }
            }
        }
        if let file = values.string("digestfile"), !dry {
            try File.replace(file, with: Array(digests.map { $0 + "\n" }.joined().utf8), durable: false)
        }
        report("\(dry ? "Would have synced" : "Synced") \(copied) images from \(sources.count) sources", "")
        guard failures == 0 else {
            throw EngineError(
                .failed, "sync failed for \(failures) image\(failures == 1 ? "" : "s"): see above")
        }
        return 0
    }

    private static func target(
        _ name: String, _ destination: String, _ transport: String, _ values: Values
    ) throws -> ImageSource {
        let own = values.bool("scoped") ? name : String(name.split(separator: "/").last ?? "")
        var base = Substring(destination)
        while base.hasSuffix("/"), base.count > 1 { base.removeLast() }
        let path = "\(base)/\(own)" + (values.string("append-suffix") ?? "")
        return transport == "dir" ? .directory(path: path) : try ImageSource(parsing: "docker://\(path)")
    }

    private static func transport(_ source: ImageSource) -> String {
        guard case .registry(let name) = source else { return "\(source)" }
        return "docker://" + ((try? ImageReference(parsing: name).familiar) ?? name)
    }

    /// A line as skopeo's.
    private static func report(_ message: String, _ fields: String) {
        Output.complain("level=info msg=\"\(message)\"" + (fields.isEmpty ? "" : " " + fields), prefix: false)
    }
}
