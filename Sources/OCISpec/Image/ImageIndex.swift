public import JSONText

/// An image index (a Docker manifest list has the same form): the manifests of
/// one image for several platforms, or all images of a layout.
public struct ImageIndex: JSONDocument, Equatable {
    public var schemaVersion = 2
    public var mediaType: String?
    public var artifactType: String?
    public var manifests: [ContentDescriptor]
    public var subject: ContentDescriptor?
    public var annotations: [String: String] = [:]
    public var unknown: JSONObject = [:]

    public init(
        mediaType: String? = MediaType.ociIndex, manifests: [ContentDescriptor],
        annotations: [String: String] = [:]
    ) {
        self.mediaType = mediaType
        self.manifests = manifests
        self.annotations = annotations
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        schemaVersion = try reader.required("schemaVersion")
        guard schemaVersion == 2 else {
            throw JSONError(path: "schemaVersion", "is \(schemaVersion), only 2 is supported")
        }
        mediaType = try reader.optional("mediaType")
        artifactType = try reader.optional("artifactType")
        manifests = try reader.optional("manifests") ?? []
        subject = try reader.optional("subject")
        annotations = try reader.optional("annotations") ?? [:]
        unknown = reader.unknown
    }

    public var json: JSON {
        var object: JSONObject = ["schemaVersion": .integer(Int64(schemaVersion))]
        object.set("mediaType", mediaType)
        object.set("artifactType", artifactType)
        object["manifests"] = manifests.json
        object.set("subject", subject)
        object.set("annotations", nonEmpty: annotations)
        object.append(unknown: unknown)
        return .object(object)
    }
}
