public import JSONText

/// `linux.resources`: what the container's cgroup allows.
public struct LinuxResources: JSONDocument, Equatable {
    public var devices: [DeviceRule] = []
    public var memory: Memory?
    public var cpu: CPU?
    public var pids: Pids?
    public var blockIO: BlockIO?
    public var hugepageLimits: [HugepageLimit] = []
    public var network: Network?
    public var rdma: [String: Rdma] = [:]
    /// cgroup v2 files and their texts.
    public var unified: [String: String] = [:]
    public var unknown = JSONObject()

    public init() {}

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        devices = try reader.optional("devices") ?? []
        memory = try reader.optional("memory")
        cpu = try reader.optional("cpu")
        pids = try reader.optional("pids")
        blockIO = try reader.optional("blockIO")
        hugepageLimits = try reader.optional("hugepageLimits") ?? []
        network = try reader.optional("network")
        rdma = try reader.optional("rdma") ?? [:]
        unified = try reader.optional("unified") ?? [:]
        unknown = reader.unknown
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("devices", nonEmpty: devices)
        object.set("memory", memory)
        object.set("cpu", cpu)
        object.set("pids", pids)
        object.set("blockIO", blockIO)
        object.set("hugepageLimits", nonEmpty: hugepageLimits)
        object.set("network", network)
        object.set("rdma", nonEmpty: rdma)
        object.set("unified", nonEmpty: unified)
        object.append(unknown: unknown)
        return .object(object)
    }
}

extension LinuxResources {
    /// One of `devices`: a rule of the device cgroup. nil numbers mean all.
    public struct DeviceRule: JSONDocument, Equatable {
        public var allow: Bool
        /// `a`, `c` or `b`; nil means `a`.
        public var type: String?
        public var major: Int64?
        public var minor: Int64?
        /// Some of `rwm`; nil means all.
        public var access: String?

        public init(
            allow: Bool, type: String? = nil, major: Int64? = nil, minor: Int64? = nil, access: String? = nil
        ) {
            self.allow = allow
            self.type = type
            self.major = major
            self.minor = minor
            self.access = access
        }

        public init(json: JSON) throws(JSONError) {
            var reader = try ObjectReader(json)
            allow = try reader.optional("allow") ?? false
            type = try reader.optional("type")
            major = try reader.optional("major")
            minor = try reader.optional("minor")
            access = try reader.optional("access")
        }

        public var json: JSON {
            var object = JSONObject()
            object.set("allow", allow)
            object.set("type", type)
            object.set("major", major)
            object.set("minor", minor)
            object.set("access", access)
            return .object(object)
        }
    }

    /// `memory`: bytes; -1 is no limit.
    public struct Memory: JSONDocument, Equatable {
        public var limit: Int64?
        public var reservation: Int64?
        /// Memory and swap together.
        public var swap: Int64?
        public var kernel: Int64?
        public var kernelTCP: Int64?
        public var swappiness: UInt64?
        public var disableOOMKiller: Bool?
        public var useHierarchy: Bool?
        public var checkBeforeUpdate: Bool?

        public init() {}

        public init(json: JSON) throws(JSONError) {
            var reader = try ObjectReader(json)
            limit = try reader.optional("limit")
            reservation = try reader.optional("reservation")
            swap = try reader.optional("swap")
            kernel = try reader.optional("kernel")
            kernelTCP = try reader.optional("kernelTCP")
            swappiness = try reader.optional("swappiness")
            disableOOMKiller = try reader.optional("disableOOMKiller")
            useHierarchy = try reader.optional("useHierarchy")
            checkBeforeUpdate = try reader.optional("checkBeforeUpdate")
        }

        public var json: JSON {
            var object = JSONObject()
            object.set("limit", limit)
            object.set("reservation", reservation)
            object.set("swap", swap)
            object.set("kernel", kernel)
            object.set("kernelTCP", kernelTCP)
            object.set("swappiness", swappiness)
            object.set("disableOOMKiller", disableOOMKiller)
            object.set("useHierarchy", useHierarchy)
            object.set("checkBeforeUpdate", checkBeforeUpdate)
            return .object(object)
        }
    }

    /// `cpu`: times in microseconds.
    public struct CPU: JSONDocument, Equatable {
        public var shares: UInt64?
        public var quota: Int64?
        public var burst: UInt64?
        public var period: UInt64?
        public var realtimeRuntime: Int64?
        public var realtimePeriod: UInt64?
        /// A list as in `0-3,7`, as `mems`.
        public var cpus: String?
        public var mems: String?
        public var idle: Int64?

        public init() {}

        public init(json: JSON) throws(JSONError) {
            var reader = try ObjectReader(json)
            shares = try reader.optional("shares")
            quota = try reader.optional("quota")
            burst = try reader.optional("burst")
            period = try reader.optional("period")
            realtimeRuntime = try reader.optional("realtimeRuntime")
            realtimePeriod = try reader.optional("realtimePeriod")
            cpus = try reader.optional("cpus")
            mems = try reader.optional("mems")
            idle = try reader.optional("idle")
        }

        public var json: JSON {
            var object = JSONObject()
            object.set("shares", shares)
            object.set("quota", quota)
            object.set("burst", burst)
            object.set("period", period)
            object.set("realtimeRuntime", realtimeRuntime)
            object.set("realtimePeriod", realtimePeriod)
            object.set("cpus", cpus)
            object.set("mems", mems)
            object.set("idle", idle)
            return .object(object)
        }
    }

    /// `pids`: -1 is no limit.
    public struct Pids: JSONDocument, Equatable {
        public var limit: Int64?

        public init(limit: Int64?) { self.limit = limit }

        public init(json: JSON) throws(JSONError) {
            var reader = try ObjectReader(json)
            limit = try reader.optional("limit")
        }

        public var json: JSON {
            var object = JSONObject()
            object.set("limit", limit)
            return .object(object)
        }
    }

    /// One of `hugepageLimits`.
    public struct HugepageLimit: JSONDocument, Equatable {
        /// `2MB` and the like.
        public var pageSize: String
        public var limit: UInt64

        public init(pageSize: String, limit: UInt64) {
            self.pageSize = pageSize
            self.limit = limit
        }

        public init(json: JSON) throws(JSONError) {
            var reader = try ObjectReader(json)
            // Decoders that mind no case have made the second spelling common.
            if let size = try reader.optional("pagesize", as: String.self) {
                pageSize = size
            } else {
                pageSize = try reader.required("pageSize")
            }
            limit = try reader.optional("limit") ?? 0
        }

        public var json: JSON {
            var object = JSONObject()
            object.set("pageSize", pageSize)
            object.set("limit", limit)
            return .object(object)
        }
    }

    /// One of `rdma`, by the device's name.
    public struct Rdma: JSONDocument, Equatable {
        public var hcaHandles: UInt32?
        public var hcaObjects: UInt32?

        public init(hcaHandles: UInt32? = nil, hcaObjects: UInt32? = nil) {
            self.hcaHandles = hcaHandles
            self.hcaObjects = hcaObjects
        }

        public init(json: JSON) throws(JSONError) {
            var reader = try ObjectReader(json)
            hcaHandles = try reader.optional("hcaHandles")
            hcaObjects = try reader.optional("hcaObjects")
        }

        public var json: JSON {
            var object = JSONObject()
            object.set("hcaHandles", hcaHandles)
            object.set("hcaObjects", hcaObjects)
            return .object(object)
        }
    }
}
