internal import ContainerStorage
internal import JSONText
public import LayerArchive
internal import LinuxSystem
internal import OCISpec

/// What is said of files that become an artifact, or part of one.
public struct ArtifactAddition: Sendable {
    public enum Mode: Sendable {
        /// There is no artifact of this name.
        case new
        /// There is one, and it gets more files.
        case append
        /// There may be one, which goes.
        case replace
    }

    public var mode = Mode.new
    /// Of the artifact.
    public var type: String?
    /// Of each file; nil for what its first bytes say.
    public var fileType: String?
    /// Of each file, and of a new artifact.
    public var annotations: [String: String] = [:]
    /// An image or artifact that this one is about: one of the store, or a place that leads to it.
    public var subject: String?

    public init(mode: Mode = .new, type: String? = nil) {
        self.mode = mode
        self.type = type
    }
}

extension Artifacts {
    /// Makes an artifact of files, or adds files to one.
    /// - Returns: the digest of its manifest.
    @discardableResult
    public func add(
        _ files: [String], to text: String, _ addition: ArtifactAddition = ArtifactAddition()
    ) throws(ImageError) -> Digest {
        let reference = try Self.reference(text)
        guard reference.digest == nil else {
            throw ImageError(
                .invalidReference, "add to \(text)", "what is made here is given a tag, not a digest")
        }
        if addition.mode == .append, addition.type != nil {
            throw ImageError(
                .configuration, "", "append option is not compatible with type option")
        }
        let name = reference.canonical
        let lease = try storing("add to \(name)") { () throws(StorageError) in try store.lease() }
        defer { lease.end() }
        // Found out before anything is read.
        _ = try base(name, files, addition)
        let subject = try addition.subject.map(subject)
        let layers = try files.map { path throws(ImageError) in try layer(path, addition) }
        while true {
            var (manifest, before) = try base(name, files, addition)
            manifest.layers += layers
            if let subject { manifest.subject = subject }
            let bytes = manifest.json.bytes()
            do throws(StorageError) {
                try store.ingestBlob(
                    digest: Digest.sha256(of: Artifact.emptyConfig),
                    size: Int64(Artifact.emptyConfig.count), from: BytesSource(Artifact.emptyConfig))
                return try store.putArtifact(manifest: bytes, name: name, replacing: before).digest
            } catch  where error.code == .changed || error.code == .exists {
                // Another process was faster: with the artifact as it is now.
            } catch {
                throw ImageError("add to \(name)", error)
            }
        }
    }

    /// The artifact that gets the files, as it is now.
    private func base(
        _ name: String, _ files: [String], _ addition: ArtifactAddition
    ) throws(ImageError) -> (ImageManifest, ArtifactReplacement) {
        let present = try storing("find \(name)") { () throws(StorageError) in
            try store.artifact(named: name)
        }
        var titles: Set<String> = []
        var manifest: ImageManifest
        let replacement: ArtifactReplacement
        switch (addition.mode, present) {
        case (.append, nil): throw ImageError(.notFound, name, "artifact does not exist")
        case (.append, let record?):
            manifest = try storing("read \(name)") { () throws(StorageError) in
                try store.manifest(of: record)
            }
            titles = Set(manifest.layers.compactMap(\.title))
            replacement = .manifest(record.digest)
        case (.new, .some): throw ImageError(.configuration, name, "artifact already exists")
        case (.new, nil), (.replace, _):
            manifest = Self.emptyManifest(addition)
            replacement = addition.mode == .new ? .nothing : .anything
        }
        for path in files {
            guard titles.insert(Self.title(path, addition)).inserted else {
                throw ImageError(
                    .configuration, Self.title(path, addition), "file already exists in artifact")
            }
        }
        return (manifest, replacement)
    }

    private static func emptyManifest(_ addition: ArtifactAddition) -> ImageManifest {
        let bytes = Artifact.emptyConfig
        var config = ContentDescriptor(
            mediaType: MediaType.ociEmpty, digest: "\(Digest.sha256(of: bytes))", size: Int64(bytes.count))
        config.unknown["data"] = "e30="
        var manifest = ImageManifest(config: config, layers: [], annotations: addition.annotations)
        manifest.annotations[Artifact.created] = Timestamp.now.description
        manifest.artifactType = addition.type
        return manifest
    }

    private static func title(_ path: String, _ addition: ArtifactAddition) -> String {
        if let title = addition.annotations[Artifact.title] { return title }
        return path.split(separator: "/").last.map(String.init) ?? path
    }

    private func layer(_ path: String, _ addition: ArtifactAddition) throws(ImageError) -> ContentDescriptor {
        do {
            let file = try File.open(path)
            guard try FD.stat(file.raw).st_mode & S_IFMT != S_IFDIR else {
                throw SystemError("read", path, .isDirectory)
            }
            let source = PeekingSource(DescriptorSource(owning: file))
            let type = try addition.fileType ?? ContentType.detect(source.peek(ContentType.prefixLength))
            let (digest, size) = try store.ingestBlob(from: source)
            var layer = ContentDescriptor(
                mediaType: type, digest: "\(digest)", size: size, annotations: addition.annotations)
            layer.annotations[Artifact.title] = Self.title(path, addition)
            return layer
        } catch {
            throw ImageError("add \(path)", any: error)
        }
    }

    /// What a manifest says of the one that it is about.
    private func subject(_ text: String) throws(ImageError) -> ContentDescriptor {
        do {
            let place: ImageSource
            if let own = try? record(text) {
                return ContentDescriptor(
                    mediaType: own.mediaType, digest: "\(own.digest)", size: own.manifestSize)
            } else if !ImageSource.namesTransport(text), let here = try? options.stores?.find(nil, text) {
                place = .store(root: nil, name: "\(here.1.id)")
            } else {
                place = try ImageSource(parsing: text)
            }
            let provider = try place.provider(options, progress: progress, stop: StopFlag())
            let document = try SourceDocument(topOf: provider)
            let type =
                switch document.content {
                case .manifest(_, let type), .index(_, let type): type
                }
            return ContentDescriptor(
                mediaType: type, digest: "\(document.digest)", size: Int64(document.bytes.count))
        } catch {
            throw ImageError("find the subject \(text)", any: error)
        }
    }
}

/// A stream whose beginning can be looked at before it is read.
private final class PeekingSource: ByteSource {
    private let source: any ByteSource
    private var ahead: ArraySlice<UInt8> = []

    init(_ source: any ByteSource) { self.source = source }

    func peek(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = try bytes.withUnsafeMutableBytes { try source.readFully(into: $0) }
        ahead = bytes[..<got]
        return Array(ahead)
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard !ahead.isEmpty else { return try source.read(into: buffer) }
        let part = ahead.prefix(buffer.count)
        buffer.copyBytes(from: part)
        ahead = ahead.dropFirst(part.count)
        return part.count
    }
}
