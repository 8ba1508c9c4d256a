public import JSONText

/// `hooks`: programs that run at points of the container's life.
public struct Hooks: JSONDocument, Equatable {
    public var prestart: [Hook] = []
    public var createRuntime: [Hook] = []
    public var createContainer: [Hook] = []
    public var startContainer: [Hook] = []
    public var poststart: [Hook] = []
    public var poststop: [Hook] = []
    public var unknown = JSONObject()

    public init() {}

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        prestart = try reader.optional("prestart") ?? []
        createRuntime = try reader.optional("createRuntime") ?? []
        createContainer = try reader.optional("createContainer") ?? []
        startContainer = try reader.optional("startContainer") ?? []
        poststart = try reader.optional("poststart") ?? []
        poststop = try reader.optional("poststop") ?? []
        unknown = reader.unknown
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("prestart", nonEmpty: prestart)
        object.set("createRuntime", nonEmpty: createRuntime)
        object.set("createContainer", nonEmpty: createContainer)
        object.set("startContainer", nonEmpty: startContainer)
        object.set("poststart", nonEmpty: poststart)
        object.set("poststop", nonEmpty: poststop)
        object.append(unknown: unknown)
        return .object(object)
    }
}

public struct Hook: JSONDocument, Equatable {
    /// Absolute.
    public var path: String
    /// With the program's name as the first; empty stands for the path alone.
    public var args: [String] = []
    /// nil is not the same as empty: `startContainer` hooks then have the process' environment.
    public var env: [String]?
    /// Seconds.
    public var timeout: Int?

    public init(path: String, args: [String] = [], env: [String]? = nil, timeout: Int? = nil) {
        self.path = path
        self.args = args
        self.env = env
        self.timeout = timeout
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        path = try reader.required("path")
        args = try reader.optional("args") ?? []
        env = try reader.optional("env")
        timeout = try reader.optional("timeout")
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("path", path)
        object.set("args", nonEmpty: args)
        object.set("env", env)
        object.set("timeout", timeout)
        return .object(object)
    }
}
