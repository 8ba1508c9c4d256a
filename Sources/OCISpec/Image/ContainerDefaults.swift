public import JSONText

/// `config` of an image's config: what a container gets unless told otherwise.
public struct ContainerDefaults: JSONDocument, Equatable {
    public var user: String = ""
    /// `80/tcp`, sorted.
    public var exposedPorts: [String] = []
    /// `NAME=value`.
    public var env: [String] = []
    public var entrypoint: [String] = []
    public var cmd: [String] = []
    /// Paths, sorted.
    public var volumes: [String] = []
    public var workingDir: String = ""
    public var labels: [String: String] = [:]
    /// A signal's name or number; empty for SIGTERM.
    public var stopSignal: String = ""
    /// Seconds.
    public var stopTimeout: Int?
    public var healthcheck: Healthcheck?
    public var onBuild: [String] = []
    public var shell: [String] = []
    public var unknown: JSONObject = [:]

    public init() {}

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        user = try reader.optional("User") ?? ""
        exposedPorts = try reader.optional("ExposedPorts", as: NameSet.self)?.names ?? []
        env = try reader.optional("Env") ?? []
        entrypoint = try reader.optional("Entrypoint", as: CommandLine.self)?.arguments ?? []
        cmd = try reader.optional("Cmd", as: CommandLine.self)?.arguments ?? []
        volumes = try reader.optional("Volumes", as: NameSet.self)?.names ?? []
        workingDir = try reader.optional("WorkingDir") ?? ""
        labels = try reader.optional("Labels") ?? [:]
        stopSignal = try reader.optional("StopSignal") ?? ""
        stopTimeout = try reader.optional("StopTimeout")
        healthcheck = try reader.optional("Healthcheck")
        onBuild = try reader.optional("OnBuild") ?? []
        shell = try reader.optional("Shell") ?? []
        unknown = reader.unknown
    }

    public var json: JSON {
        var object = JSONObject()
        if !user.isEmpty { object["User"] = .string(user) }
        if !exposedPorts.isEmpty { object["ExposedPorts"] = NameSet(names: exposedPorts).json }
        object.set("Env", nonEmpty: env)
        object.set("Entrypoint", nonEmpty: entrypoint)
        object.set("Cmd", nonEmpty: cmd)
        if !volumes.isEmpty { object["Volumes"] = NameSet(names: volumes).json }
        if !workingDir.isEmpty { object["WorkingDir"] = .string(workingDir) }
        object.set("Labels", nonEmpty: labels)
        if !stopSignal.isEmpty { object["StopSignal"] = .string(stopSignal) }
        object.set("StopTimeout", stopTimeout)
        object.set("Healthcheck", healthcheck)
        object.set("OnBuild", nonEmpty: onBuild)
        object.set("Shell", nonEmpty: shell)
        object.append(unknown: unknown)
        return .object(object)
    }

    /// Go's `map[string]struct{}`.
    private struct NameSet: JSONDocument {
        var names: [String]
        init(names: [String]) { self.names = names }
        init(json: JSON) throws(JSONError) {
            guard case .object(let object) = json else {
                throw JSONError("expected an object, found \(json.kind)")
            }
            names = object.members.map(\.name).sorted()
        }
        var json: JSON {
            var object = JSONObject()
            for name in names.sorted() { object[name] = .emptyObject }
            return .object(object)
        }
    }

    /// Old Docker images wrote a command of one word as a plain string.
    private struct CommandLine: JSONDocument {
        var arguments: [String]
        init(json: JSON) throws(JSONError) {
            if case .string(let word) = json {
                arguments = [word]
            } else {
                arguments = try [String](json: json)
            }
        }
        var json: JSON { arguments.json }
    }
}

/// A container's health check, times in nanoseconds.
public struct Healthcheck: JSONDocument, Equatable {
    /// `[]` (inherit), `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", line]`.
    public var test: [String]
    public var interval: Int64?
    public var timeout: Int64?
    public var startPeriod: Int64?
    public var startInterval: Int64?
    public var retries: Int?

    public init(test: [String]) { self.test = test }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        test = try reader.optional("Test") ?? []
        interval = try reader.optional("Interval")
        timeout = try reader.optional("Timeout")
        startPeriod = try reader.optional("StartPeriod")
        startInterval = try reader.optional("StartInterval")
        retries = try reader.optional("Retries")
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("Test", nonEmpty: test)
        object.set("Interval", interval)
        object.set("Timeout", timeout)
        object.set("StartPeriod", startPeriod)
        object.set("StartInterval", startInterval)
        object.set("Retries", retries)
        return .object(object)
    }
}
