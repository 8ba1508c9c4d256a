internal import ContainerStorage
internal import LayerArchive
internal import LinuxSystem
internal import OCISpec

/// Which files of an artifact are meant.
public enum ArtifactSelection: Sendable, Equatable {
    case all
    case digest(String)
    case title(String)
}

extension Artifacts {
    /// Writes an artifact's files into a directory, or one of them to a file.
    ///
    /// Each appears when it is whole. Their names are the artifact's own, which are an attacker's:
    /// they are names in the directory and no paths.
    /// - Parameter text: a full name, or the beginning of a digest.
    public func extract(
        _ text: String, _ selection: ArtifactSelection = .all, to target: String
    ) throws(ImageError) {
        let lease = try storing("extract \(text)") { () throws(StorageError) in try store.lease() }
        defer { lease.end() }
        let artifact = try find(text)
        let files = try artifact.files(selection)
        do {
            guard let status = try? File.status(target), status.st_mode & S_IFMT == S_IFDIR else {
                guard files.count == 1 else {
                    throw ImageError(
                        .configuration, "extract \(text)",
                        "it has \(files.count) files and \(target) is no directory: name one by --title or --digest"
                    )
                }
                return try write(files[0], to: ReplacedFile(target))
            }
            let directory = try File.open(target, O_RDONLY | O_DIRECTORY)
            let names = try files.map { try $0.fileName(byDigest: selection.isDigest) }
            try requireDistinct(names, files)
            for name in names { try requireFree(name, in: directory.raw, target) }
            for (file, name) in zip(files, names) {
                try write(
                    file, to: ReplacedFile("/proc/self/fd/\(directory.raw)/\(name)", followsLinks: false))
            }
        } catch {
            throw ImageError("extract \(text)", any: error)
        }
    }

    private func write(_ file: ContentDescriptor, to target: ReplacedFile) throws {
        let digest = try Digest(parsing: file.digest)
        let source = DescriptorSource(owning: try store.openBlob(digest))
        try VerifyingSource(source, expected: digest, size: file.size).copy(
            to: DescriptorSink(target.file.raw))
        try target.publish()
    }

    /// Two files of one name: the second would take the first's place.
    private func requireDistinct(_ names: [String], _ files: [ContentDescriptor]) throws(ImageError) {
        var seen: [String: String] = [:]
        for (name, file) in zip(names, files) {
            guard let other = seen.updateValue(file.digest, forKey: name), other != file.digest else {
                continue
            }
            throw ImageError(
                .malformed, "", "several of its files are called \(name): name one by --digest")
        }
    }

    private func requireFree(_ name: String, in directory: Int32, _ target: String) throws(ImageError) {
        guard let status = try? File.status(name, at: directory, followLinks: false) else { return }
        guard [S_IFREG, S_IFLNK].contains(status.st_mode & S_IFMT) else {
            throw ImageError(.file, "write \(target)/\(name)", "there is something that is no file")
        }
    }
}

extension ArtifactSelection {
    fileprivate var isDigest: Bool { if case .digest = self { true } else { false } }
}

extension Artifact {
    fileprivate func files(_ selection: ArtifactSelection) throws(ImageError) -> [ContentDescriptor] {
        guard !manifest.layers.isEmpty else {
            throw ImageError(.notFound, "", "the artifact has no blobs, nothing to extract")
        }
        let found: [ContentDescriptor]
        let what: String
        switch selection {
        case .all: return manifest.layers
        case .digest(let digest):
            found = manifest.layers.filter { $0.digest == digest }
            what = "digest \"\(digest)\""
        case .title(let title):
            found = manifest.layers.filter { $0.title == title }
            what = "title \"\(title)\""
        }
        guard let first = found.first else { throw ImageError(.notFound, "", "no blob with the \(what)") }
        guard found.allSatisfy({ $0.digest == first.digest }) else {
            throw ImageError(.configuration, "", "more than one match for the \(what)")
        }
        return [first]
    }
}

extension ContentDescriptor {
    /// The name that an artifact's file gets in a directory.
    fileprivate func fileName(byDigest: Bool) throws(ImageError) -> String {
        let name = byDigest ? nil : title
        guard let name else { return String(digest.map { $0 == ":" ? "-" : $0 }) }
        guard !name.utf8.contains(UInt8(ascii: "/")) else {
            throw ImageError(.malformed, "", "invalid name: \"\(name)\" cannot contain /")
        }
        guard name != ".", name != "..", !name.utf8.contains(0), name.utf8.count <= 255 else {
            throw ImageError(
                .malformed, "", "invalid name: \"\(name.prefix(300))\" is no name of a file: use --digest")
        }
        return name
    }
}
