public import JSONText

/// The limits that a user asked for. nil sets none.
public struct ResourceRequest: JSONDocument, Equatable {
    /// Bytes; `memorySwap` is memory plus swap, -1 for no limit.
    public var memory: Int64?
    public var memorySwap: Int64?
    public var memoryReservation: Int64?
    public var memorySwappiness: UInt64?
    public var oomKillDisable: Bool?
    /// Billionths of a CPU.
    public var nanoCPUs: Int64?
    public var cpuShares: UInt64?
    /// Microseconds.
    public var cpuPeriod: UInt64?
    public var cpuQuota: Int64?
    public var cpusetCPUs: String?
    public var cpusetMems: String?
    public var pidsLimit: Int64?
    public var blkioWeight: UInt16?

    public init() {}

    /// Docker's default for memory plus swap: as much swap as memory.
    var memoryAndSwap: Int64? {
        memorySwap ?? memory.map { $0 > .max / 2 ? -1 : $0 * 2 }
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        memory = try reader.optional("memory")
        memorySwap = try reader.optional("memorySwap")
        memoryReservation = try reader.optional("memoryReservation")
        memorySwappiness = try reader.optional("memorySwappiness")
        oomKillDisable = try reader.optional("oomKillDisable")
        nanoCPUs = try reader.optional("nanoCPUs")
        cpuShares = try reader.optional("cpuShares")
        cpuPeriod = try reader.optional("cpuPeriod")
        cpuQuota = try reader.optional("cpuQuota")
        cpusetCPUs = try reader.optional("cpusetCPUs")
        cpusetMems = try reader.optional("cpusetMems")
        pidsLimit = try reader.optional("pidsLimit")
        blkioWeight = try reader.optional("blkioWeight")
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("memory", memory)
        object.set("memorySwap", memorySwap)
        object.set("memoryReservation", memoryReservation)
        object.set("memorySwappiness", memorySwappiness)
        object.set("oomKillDisable", oomKillDisable)
        object.set("nanoCPUs", nanoCPUs)
        object.set("cpuShares", cpuShares)
        object.set("cpuPeriod", cpuPeriod)
        object.set("cpuQuota", cpuQuota)
        object.set("cpusetCPUs", cpusetCPUs)
        object.set("cpusetMems", cpusetMems)
        object.set("pidsLimit", pidsLimit)
        object.set("blkioWeight", blkioWeight)
        return .object(object)
    }
}

/// One `--ulimit NAME=SOFT[:HARD]`; -1 is no limit.
public struct UlimitRequest: JSONDocument, Equatable {
    public var name: String
    public var soft: UInt64
    public var hard: UInt64

    static let names: Set<String> = [
        "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc",
        "rss", "rtprio", "rttime", "sigpending", "stack",
    ]

    public init(parsing text: String) throws(EngineError) {
        func fail(_ why: String) -> EngineError {
            EngineError(.invalid, "invalid ulimit \"\(text)\": \(why)")
        }
        let pair = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard pair.count == 2 else { throw fail("use NAME=SOFT[:HARD]") }
        guard Self.names.contains(pair[0]) else { throw fail("unknown limit \"\(pair[0])\"") }
        let values = pair[1].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(
            String.init)
        func number(_ text: String) throws(EngineError) -> UInt64 {
            if text == "-1" || text == "unlimited" { return .max }
            guard let value = UInt64(text) else { throw fail("\"\(text)\" is no number") }
            return value
        }
        name = pair[0]
        soft = try number(values[0])
        hard = values.count > 1 ? try number(values[1]) : soft
        guard soft <= hard else { throw fail("the soft limit is above the hard limit") }
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        name = try reader.required("name")
        soft = try reader.required("soft")
        hard = try reader.required("hard")
    }
    public var json: JSON { ["name": .string(name), "soft": soft.json, "hard": hard.json] }
}

/// One `--device HOST[:CONTAINER[:rwm]]`.
public struct DeviceRequest: JSONDocument, Equatable {
    public var hostPath: String
    public var containerPath: String
    public var permissions: String

    public init(parsing text: String) throws(EngineError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        hostPath = parts[0]
        containerPath = parts[0]
        permissions = "rwm"
        func isPermissions(_ text: String) -> Bool { !text.isEmpty && text.allSatisfy { "rwm".contains($0) } }
        switch parts.count {
        case 1: break
        case 2 where isPermissions(parts[1]): permissions = parts[1]
        case 2: containerPath = parts[1]
        case 3 where isPermissions(parts[2]): (containerPath, permissions) = (parts[1], parts[2])
        default: throw EngineError(.invalid, "invalid device \"\(text)\": use HOST[:CONTAINER[:rwm]]")
        }
        guard hostPath.hasPrefix("/"), containerPath.hasPrefix("/") else {
            throw EngineError(.invalid, "invalid device \"\(text)\": paths must be absolute")
        }
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        hostPath = try reader.required("hostPath")
        containerPath = try reader.required("containerPath")
        permissions = try reader.required("permissions")
    }
    public var json: JSON {
        [
            "hostPath": .string(hostPath), "containerPath": .string(containerPath),
            "permissions": .string(permissions),
        ]
    }
}

/// `--network`.
public enum NetworkMode: Equatable, Sendable {
    case bridge, host, none
    case container(String)

    public var text: String {
        switch self {
        case .bridge: "bridge"
        case .host: "host"
        case .none: "none"
        case .container(let id): "container:\(id)"
        }
    }

    /// From our own record.
    init(text: String) {
        switch text {
        case "host": self = .host
        case "none": self = .none
        case let text where text.hasPrefix("container:"): self = .container(String(text.dropFirst(10)))
        default: self = .bridge
        }
    }

    public init(parsing text: String) throws(EngineError) {
        switch text {
        case "bridge", "default", "host", "none": self.init(text: text)
        case let text where text.hasPrefix("container:") && text.count > 10: self.init(text: text)
        default:
            throw EngineError(
                .notFound, "network \"\(text)\" not found: use bridge, host, none or container:NAME")
        }
    }
}

/// `--pid`, `--ipc`, `--uts`, `--cgroupns`.
public enum NamespaceMode: Equatable, Sendable {
    case own, host
    case container(String)

    public var text: String {
        switch self {
        case .own: "private"
        case .host: "host"
        case .container(let id): "container:\(id)"
        }
    }

    init(text: String) {
        switch text {
        case "host": self = .host
        case let text where text.hasPrefix("container:"): self = .container(String(text.dropFirst(10)))
        default: self = .own
        }
    }

    public init(parsing text: String, flag: String) throws(EngineError) {
        switch text {
        case "", "private", "host", "shareable": self.init(text: text)
        case let text where text.hasPrefix("container:") && text.count > 10: self.init(text: text)
        default:
            throw EngineError(
                .invalid, "invalid value \"\(text)\" for --\(flag): use private, host or container:NAME")
        }
    }
}
