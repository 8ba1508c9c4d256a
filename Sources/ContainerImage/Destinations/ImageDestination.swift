internal import ImageTrust
internal import LayerArchive
internal import OCISpec

/// Where images go: the other end of `ImageProvider`.
///
/// One copy of an image of two platforms, seen from here:
///
///     put(layer: a); put(layer: b) …       several at once, where it can take that
///     put(config: c)
///     put(instance: manifest) …            for each platform
///     put(top: index, names: ["v1"])
///     commit()                             until then nobody sees anything of it
///
/// A destination that goes without a `commit` leaves nothing behind that has a name; registries,
/// which have no such thing, keep blobs that no manifest names until they collect them.
protocol ImageDestination: AnyObject, Sendable {
    /// As messages name it.
    var name: String { get }
    var traits: DestinationTraits { get }
    /// Whether a manifest or an index is there with all that it names, and one question tells.
    func has(_ digest: Digest) throws -> Bool
    /// - Returns: false when it was there, or was to be had without being sent.
    func put(layer: OutgoingBlob) throws -> Bool
    func put(config: OutgoingBlob) throws
    /// A document below an index.
    func put(instance: OutgoingManifest) throws
    /// What the image's name leads to, when all of it is there.
    /// - Parameter names: what it is called, where an image has several names or none.
    func put(top: OutgoingManifest, names: [String]) throws
    /// What a signature of an image there names it; nil where images have no such names.
    var signedReference: DockerReference? { get }
    /// - Throws: `unsupported` or `configuration` where signatures of these kinds have no place.
    func requireRoom(simple: Bool, sigstore: Bool) throws(ImageError)
    /// The signatures of a manifest or index that was put before.
    func put(signatures: [ImageSignature], of manifest: Digest, isTop: Bool) throws
    func commit() throws
}

extension ImageDestination {
    func has(_ digest: Digest) -> Bool { false }

    var signedReference: DockerReference? { nil }

    func requireRoom(simple: Bool, sigstore: Bool) throws(ImageError) {
        throw ImageError(.unsupported, "store signatures in \(name)", "it holds none")
    }

    func put(signatures: [ImageSignature], of manifest: Digest, isTop: Bool) throws {
        try requireRoom(simple: true, sigstore: true)
    }
}

/// What a destination can hold.
struct DestinationTraits: Sendable {
    enum Layers: Sendable {
        /// They stay as they are.
        case any
        /// They are compressed unless they are already.
        case compressed
        /// Only plain tars.
        case plain
    }

    /// The first is for what it cannot hold.
    var formats: [ManifestFormat] = [.oci, .v2s2]
    var layers = Layers.compressed
    var holdsIndexes = true
    /// Any number of layers may come at once.
    var isParallel = true
    /// Layers that have URLs are not wanted.
    var leavesForeignLayers = true
    /// What the manifest must have, if it was said.
    var digest: Digest?
}

/// A blob to write or send: its bytes can be had any number of times, and are verified.
struct OutgoingBlob: Sendable {
    var digest: Digest
    var size: Int64
    /// Of the plain tar; nil for what is no layer of a file system.
    var diffID: Digest?
    /// For the descriptor of a layer that was made on the way.
    var annotations: [String: String] = [:]
    var open: @Sendable () throws -> any ByteSource
    /// A repository of a registry, other than one, that may have it.
    var origin: @Sendable (_ registry: String, _ repository: String) throws -> String? = { _, _ in nil }
}

/// A manifest or an index to write or send.
struct OutgoingManifest: Sendable {
    /// An image of one platform.
    struct Image: Sendable {
        var config: ImageConfig
        var configDigest: Digest
        var configBytes: [UInt8]
        var layers: [OutgoingBlob]
    }

    var bytes: [UInt8]
    var digest: Digest
    var mediaType: String
    /// nil for an index, and for what is no image.
    var image: Image?
    var artifactType: String?
    var signatures: SignaturesOnTheWay?

    var descriptor: ContentDescriptor {
        ContentDescriptor(
            mediaType: mediaType, digest: "\(digest)", size: Int64(bytes.count),
            platform: image?.config.platform.known)
    }
}

extension Platform {
    /// nil when the config does not say.
    fileprivate var known: Platform? { os.isEmpty && architecture.isEmpty ? nil : self }
}

extension Digest {
    /// Below `blobs/` of a layout.
    var blobName: String { "\(algorithm.rawValue)/\(hex)" }
}
