public import JSONText

/// `linux.intelRdt` (config-linux.md, "IntelRdt").
public struct IntelRdt: JSONDocument, Equatable {
    /// The class of service; nil for one of the container's own, `/` for the default one.
    public var closID: String?
    /// Lines of the group's `schemata`.
    public var schemata: [String]
    /// As in `L3:0=7f0;1=1f`.
    public var l3CacheSchema: String?
    /// As in `MB:0=20;1=70`.
    public var memBwSchema: String?
    /// With a monitoring group of the container's own.
    public var enableMonitoring: Bool

    public init(
        closID: String? = nil, schemata: [String] = [], l3CacheSchema: String? = nil,
        memBwSchema: String? = nil, enableMonitoring: Bool = false
    ) {
        self.closID = closID
        self.schemata = schemata
        self.l3CacheSchema = l3CacheSchema
        self.memBwSchema = memBwSchema
        self.enableMonitoring = enableMonitoring
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        func text(_ name: String) throws(JSONError) -> String? {
            try reader.optional(name, as: String.self).flatMap { $0.isEmpty ? nil : $0 }
        }
        closID = try text("closID")
        schemata = try reader.optional("schemata") ?? []
        l3CacheSchema = try text("l3CacheSchema")
        memBwSchema = try text("memBwSchema")
        enableMonitoring = try reader.optional("enableMonitoring") ?? false
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("closID", closID)
        object.set("schemata", nonEmpty: schemata)
        object.set("l3CacheSchema", l3CacheSchema)
        object.set("memBwSchema", memBwSchema)
        if enableMonitoring { object.set("enableMonitoring", enableMonitoring) }
        return .object(object)
    }
}
