internal import ImageTrust
internal import JSONText
internal import LayerArchive
internal import LinuxSystem
internal import OCISpec

/// An OCI image layout (image-spec, image-layout.md) in a directory or an archive.
struct LayoutProvider: ImageProvider {
    let name: String
    let files: any FileSet
    let root: ContentDescriptor
    let scope: PolicyScope?

    /// What one of the layout's images is called in it.
    static func referenceName(_ descriptor: ContentDescriptor) -> String? {
        descriptor.annotations[ContentDescriptor.containerdName]
            ?? descriptor.annotations[ContentDescriptor.referenceName]
    }

    /// The images of a layout.
    static func index(_ files: any FileSet) throws(ImageError) -> ImageIndex {
        let operation = "read the image layout \(files.name)"
        guard let layout = try files.read("oci-layout", limit: 1 << 16) else {
            throw ImageError(.malformed, operation, "it has no file oci-layout")
        }
        do throws(JSONError) {
            let json = try JSON(parsing: layout)
            var reader = try ObjectReader(json)
            let version: String = try reader.required("imageLayoutVersion")
            guard version.hasPrefix("1.") else {
                throw JSONError(path: "imageLayoutVersion", "\(version) is not supported")
            }
        } catch {
            throw ImageError(.malformed, operation, "oci-layout: \(error)")
        }
        guard let bytes = try files.read("index.json", limit: DocumentLimit.manifest) else {
            throw ImageError(.malformed, operation, "it has no file index.json")
        }
        do throws(JSONError) {
            return try ImageIndex(json: JSON(parsing: bytes))
        } catch {
            throw ImageError(.malformed, operation, "index.json: \(error)")
        }
    }

    /// The image that a reference means; without one, the only image.
    static func choose(_ reference: String?, in index: ImageIndex, name: String) throws(ImageError)
        -> ContentDescriptor
    {
        let known = index.manifests.compactMap(referenceName)
        func listed() -> String {
            known.isEmpty ? "its images have no names" : "it has \(known.prefix(20).joined(separator: ", "))"
        }
        guard let reference else {
            guard index.manifests.count == 1 else {
                throw ImageError(
                    .notFound, "read \(name)",
                    index.manifests.isEmpty
                        ? "the layout has no image"
                        : "the layout has \(index.manifests.count) images, say which (\(listed()))")
            }
            return index.manifests[0]
        }
        // `@2` is the third image.
        if reference.hasPrefix("@"), let position = Int(reference.dropFirst()),
            index.manifests.indices.contains(position)
        {
            return index.manifests[position]
        }
        let found = index.manifests.filter { descriptor in
            descriptor.annotations[ContentDescriptor.referenceName] == reference
                || descriptor.annotations[ContentDescriptor.containerdName] == reference
                || descriptor.digest == reference
        }
        guard let first = found.first else {
            throw ImageError(
                .notFound, "read \(name)", "the layout has no image \"\(reference)\"; \(listed())")
        }
        return first
    }

    /// - Parameter reference: nil for the only image.
    init(_ files: any FileSet, reference: String?, name: String) throws(ImageError) {
        let index = try Self.index(files)
        self.init(
            files, try Self.choose(reference, in: index, name: name), asked: reference, name: name)
    }

    /// - Parameter asked: the reference that was asked for: policies know no other.
    init(_ files: any FileSet, _ descriptor: ContentDescriptor, asked: String? = nil, name: String) {
        self.files = files
        self.name = name
        root = descriptor
        scope = PolicyScope(
            transport: files is ArchiveFiles ? "oci-archive" : "oci", file: files.name, reference: asked ?? ""
        )
    }

    func top() throws(ImageError) -> TopDocument {
        let digest = try Digest(root, in: name)
        return TopDocument(bytes: try document(root, digest), mediaType: root.mediaType, digest: digest)
    }

    func document(_ descriptor: ContentDescriptor, _ digest: Digest) throws(ImageError) -> [UInt8] {
        guard let bytes = try files.read(path(digest), limit: DocumentLimit.config) else {
            throw missing(digest)
        }
        return bytes
    }

    func blob(_ descriptor: ContentDescriptor, _ digest: Digest) throws(ImageError) -> any ByteSource {
        guard let file = try files.open(path(digest)) else { throw missing(digest) }
        return file
    }

    private func path(_ digest: Digest) -> String { "blobs/\(digest.algorithm.rawValue)/\(digest.hex)" }

    private func missing(_ digest: Digest) -> ImageError {
        ImageError(.notFound, "read \(name)", "the blob \(digest) is missing")
    }
}

/// A layout whose blobs are elsewhere, for several layouts together.
struct LayoutFiles: FileSet {
    private let layout: DirectoryFiles
    private let shared: DirectoryFiles?
    var name: String { layout.name }

    init(_ layout: DirectoryFiles, shared: String?) throws(ImageError) {
        self.layout = layout
        self.shared = try shared.map { path throws(ImageError) in try DirectoryFiles(path) }
    }

    func open(_ path: String) throws(ImageError) -> FileRange? {
        guard let shared, path.hasPrefix("blobs/") else { return try layout.open(path) }
        return try shared.open(String(path.dropFirst("blobs/".count)))
    }
}
