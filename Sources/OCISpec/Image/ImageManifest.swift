public import JSONText

/// An image manifest: OCI's, or Docker's schema 2, which has the same form.
public struct ImageManifest: JSONDocument, Equatable {
    public var schemaVersion = 2
    public var mediaType: String?
    public var artifactType: String?
    public var config: ContentDescriptor
    public var layers: [ContentDescriptor]
    public var subject: ContentDescriptor?
    public var annotations: [String: String] = [:]
    public var unknown: JSONObject = [:]

    public init(
        mediaType: String? = MediaType.ociManifest, config: ContentDescriptor, layers: [ContentDescriptor],
        annotations: [String: String] = [:]
    ) {
        self.mediaType = mediaType
        self.config = config
        self.layers = layers
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
        config = try reader.required("config")
        layers = try reader.optional("layers") ?? []
        subject = try reader.optional("subject")
        annotations = try reader.optional("annotations") ?? [:]
        unknown = reader.unknown
    }

    public var json: JSON {
        var object: JSONObject = ["schemaVersion": .integer(Int64(schemaVersion))]
        object.set("mediaType", mediaType)
        object.set("artifactType", artifactType)
        object["config"] = config.json
        object["layers"] = layers.json
        object.set("subject", subject)
        object.set("annotations", nonEmpty: annotations)
        object.append(unknown: unknown)
        return .object(object)
    }
}
