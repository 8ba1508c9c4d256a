internal import ImageTrust
internal import LayerArchive
internal import OCISpec

/// A `dir:` image: `manifest.json` and files named by the hexadecimal digits
/// of their digests; the manifests below an index end in `.manifest.json`.
struct DirectoryProvider: ImageProvider {
    let name: String
    let scope: PolicyScope?
    private let path: String
    private let files: DirectoryFiles

    init(path: String) throws(ImageError) {
        name = "dir:\(path)"
        self.path = path
        scope = PolicyScope(transport: "dir", file: path, reference: nil)
        files = try DirectoryFiles(path)
    }

    func top() throws(ImageError) -> TopDocument {
        guard let bytes = try files.read("manifest.json", limit: DocumentLimit.manifest) else {
            throw ImageError(.notFound, "read \(name)", "it has no file manifest.json")
        }
        return TopDocument(bytes: bytes, mediaType: "", digest: nil)
    }

    func document(_ descriptor: ContentDescriptor, _ digest: Digest) throws(ImageError) -> [UInt8] {
        if let bytes = try files.read("\(digest.hex).manifest.json", limit: DocumentLimit.manifest) {
            return bytes
        }
        guard let bytes = try files.read(digest.hex, limit: DocumentLimit.manifest) else {
            throw missing(digest)
        }
        return bytes
    }

    func blob(_ descriptor: ContentDescriptor, _ digest: Digest) throws(ImageError) -> any ByteSource {
        guard let file = try files.open(digest.hex) else { throw missing(digest) }
        return file
    }

    func signatures(
        of manifest: Digest, isTop: Bool, _ trust: TrustOptions
    ) throws(ImageError) -> [ImageSignature] {
        do throws(TrustError) {
            return try SignatureDirectory(image: path, below: isTop ? nil : manifest).read()
        } catch {
            throw ImageError(name, error)
        }
    }

    private func missing(_ digest: Digest) -> ImageError {
        ImageError(.notFound, "read \(name)", "the blob \(digest) is missing")
    }
}
