public import JSONText

/// An image's config (image-spec, config.md; Docker's image JSON has the same form).
public struct ImageConfig: JSONDocument, Equatable {
    /// RFC 3339, as it was written.
    public var created: String?
    public var author: String?
    public var architecture: String
    public var os: String
    public var variant: String?
    public var osVersion: String?
    public var osFeatures: [String] = []
    public var config: ContainerDefaults
    public var rootfs: RootFS
    public var history: [HistoryEntry]
    public var unknown: JSONObject = [:]

    public init(
        created: String? = nil, platform: Platform, config: ContainerDefaults = ContainerDefaults(),
        diffIDs: [String], history: [HistoryEntry] = []
    ) {
        self.created = created
        architecture = platform.architecture
        os = platform.os
        variant = platform.variant
        self.config = config
        rootfs = RootFS(diffIDs: diffIDs)
        self.history = history
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        created = try reader.optional("created")
        author = try reader.optional("author")
        architecture = try reader.optional("architecture") ?? ""
        os = try reader.optional("os") ?? ""
        let variant: String? = try reader.optional("variant")
        self.variant = variant == "" ? nil : variant
        osVersion = try reader.optional("os.version")
        osFeatures = try reader.optional("os.features") ?? []
        config = try reader.optional("config") ?? ContainerDefaults()
        rootfs = try reader.required("rootfs")
        history = try reader.optional("history") ?? []
        unknown = reader.unknown
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("created", created)
        object.set("author", author)
        object["architecture"] = .string(architecture)
        object["os"] = .string(os)
        object.set("variant", variant)
        object.set("os.version", osVersion)
        object.set("os.features", nonEmpty: osFeatures)
        object["config"] = config.json
        object["rootfs"] = rootfs.json
        object.set("history", nonEmpty: history)
        object.append(unknown: unknown)
        return .object(object)
    }

    public var platform: Platform {
        get {
            var platform = Platform(os: os, architecture: architecture, variant: variant)
            platform.osVersion = osVersion
            platform.osFeatures = osFeatures
            return platform
        }
        set {
            os = newValue.os
            architecture = newValue.architecture
            variant = newValue.variant
            osVersion = newValue.osVersion
            osFeatures = newValue.osFeatures
        }
    }
}

/// `rootfs`: the layers by the digests of their plain tars, lowest first.
public struct RootFS: JSONDocument, Equatable {
    public var type = "layers"
    public var diffIDs: [String]

    public init(diffIDs: [String]) { self.diffIDs = diffIDs }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        type = try reader.optional("type") ?? "layers"
        diffIDs = try reader.optional("diff_ids") ?? []
    }

    public var json: JSON { ["type": .string(type), "diff_ids": diffIDs.json] }
}

/// One step of an image's making.
public struct HistoryEntry: JSONDocument, Equatable {
    public var created: String?
    public var createdBy: String?
    public var author: String?
    public var comment: String?
    /// The step made no layer.
    public var emptyLayer: Bool
    public var unknown: JSONObject = [:]

    public init(
        created: String? = nil, createdBy: String? = nil, author: String? = nil, comment: String? = nil,
        emptyLayer: Bool = false
    ) {
        self.created = created
        self.createdBy = createdBy
        self.author = author
        self.comment = comment
        self.emptyLayer = emptyLayer
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        created = try reader.optional("created")
        createdBy = try reader.optional("created_by")
        author = try reader.optional("author")
        comment = try reader.optional("comment")
        emptyLayer = try reader.optional("empty_layer") ?? false
        unknown = reader.unknown
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("created", created)
        object.set("created_by", createdBy)
        object.set("author", author)
        object.set("comment", comment)
        if emptyLayer { object["empty_layer"] = true }
        object.append(unknown: unknown)
        return .object(object)
    }
}
