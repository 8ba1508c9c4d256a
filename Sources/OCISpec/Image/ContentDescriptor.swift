public import JSONText

/// A reference to content by its digest (image-spec, descriptor.md).
public struct ContentDescriptor: JSONDocument, Equatable {
    public var mediaType: String
    /// `sha256:…`, as it was written: whoever uses it parses it.
    public var digest: String
    public var size: Int64
    public var urls: [String] = []
    public var annotations: [String: String] = [:]
    public var platform: Platform?
    public var artifactType: String?
    public var unknown: JSONObject = [:]

    public init(
        mediaType: String, digest: String, size: Int64, platform: Platform? = nil,
        annotations: [String: String] = [:]
    ) {
        self.mediaType = mediaType
        self.digest = digest
        self.size = size
        self.platform = platform
        self.annotations = annotations
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        mediaType = try reader.optional("mediaType") ?? ""
        digest = try reader.required("digest")
        size = try reader.required("size")
        guard size >= 0 else { throw JSONError(path: "size", "is negative") }
        urls = try reader.optional("urls") ?? []
        annotations = try reader.optional("annotations") ?? [:]
        platform = try reader.optional("platform")
        artifactType = try reader.optional("artifactType")
        unknown = reader.unknown
    }

    public var json: JSON {
        var object: JSONObject = [
            "mediaType": .string(mediaType), "digest": .string(digest), "size": .integer(size),
        ]
        object.set("urls", nonEmpty: urls)
        object.set("annotations", nonEmpty: annotations)
        object.set("platform", platform)
        object.set("artifactType", artifactType)
        object.append(unknown: unknown)
        return .object(object)
    }

    /// The name that a layout's index gives an image (image-spec, annotations.md).
    public static let referenceName = "org.opencontainers.image.ref.name"
    /// The full name that containerd gives an image in a layout.
    public static let containerdName = "io.containerd.image.name"
}
