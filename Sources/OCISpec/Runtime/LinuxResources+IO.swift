public import JSONText

extension LinuxResources {
    /// `blockIO`.
    public struct BlockIO: JSONDocument, Equatable {
        public var weight: UInt16?
        public var leafWeight: UInt16?
        public var weightDevice: [WeightDevice] = []
        public var throttleReadBpsDevice: [ThrottleDevice] = []
        public var throttleWriteBpsDevice: [ThrottleDevice] = []
        public var throttleReadIOPSDevice: [ThrottleDevice] = []
        public var throttleWriteIOPSDevice: [ThrottleDevice] = []

        public init() {}

        public init(json: JSON) throws(JSONError) {
            var reader = try ObjectReader(json)
            weight = try reader.optional("weight")
            leafWeight = try reader.optional("leafWeight")
            weightDevice = try reader.optional("weightDevice") ?? []
            throttleReadBpsDevice = try reader.optional("throttleReadBpsDevice") ?? []
            throttleWriteBpsDevice = try reader.optional("throttleWriteBpsDevice") ?? []
            throttleReadIOPSDevice = try reader.optional("throttleReadIOPSDevice") ?? []
            throttleWriteIOPSDevice = try reader.optional("throttleWriteIOPSDevice") ?? []
        }

        public var json: JSON {
            var object = JSONObject()
            object.set("weight", weight)
            object.set("leafWeight", leafWeight)
            object.set("weightDevice", nonEmpty: weightDevice)
            object.set("throttleReadBpsDevice", nonEmpty: throttleReadBpsDevice)
            object.set("throttleWriteBpsDevice", nonEmpty: throttleWriteBpsDevice)
            object.set("throttleReadIOPSDevice", nonEmpty: throttleReadIOPSDevice)
            object.set("throttleWriteIOPSDevice", nonEmpty: throttleWriteIOPSDevice)
            return .object(object)
        }
    }

    public struct WeightDevice: JSONDocument, Equatable {
        public var major: Int64
        public var minor: Int64
        public var weight: UInt16?
        public var leafWeight: UInt16?

        public init(major: Int64, minor: Int64, weight: UInt16? = nil, leafWeight: UInt16? = nil) {
            self.major = major
            self.minor = minor
            self.weight = weight
            self.leafWeight = leafWeight
        }

        public init(json: JSON) throws(JSONError) {
            var reader = try ObjectReader(json)
            major = try reader.required("major")
            minor = try reader.required("minor")
            weight = try reader.optional("weight")
            leafWeight = try reader.optional("leafWeight")
        }

        public var json: JSON {
            var object = JSONObject()
            object.set("major", major)
            object.set("minor", minor)
            object.set("weight", weight)
            object.set("leafWeight", leafWeight)
            return .object(object)
        }
    }

    /// Bytes or operations a second on a block device.
    public struct ThrottleDevice: JSONDocument, Equatable {
        public var major: Int64
        public var minor: Int64
        public var rate: UInt64

        public init(major: Int64, minor: Int64, rate: UInt64) {
            self.major = major
            self.minor = minor
            self.rate = rate
        }

        public init(json: JSON) throws(JSONError) {
            var reader = try ObjectReader(json)
            major = try reader.required("major")
            minor = try reader.required("minor")
            rate = try reader.optional("rate") ?? 0
        }

        public var json: JSON {
            var object = JSONObject()
            object.set("major", major)
            object.set("minor", minor)
            object.set("rate", rate)
            return .object(object)
        }
    }

    /// `network` (cgroup v1: net_cls, net_prio).
    public struct Network: JSONDocument, Equatable {
        public var classID: UInt32?
        public var priorities: [InterfacePriority] = []

        public init() {}

        public init(json: JSON) throws(JSONError) {
            var reader = try ObjectReader(json)
            classID = try reader.optional("classID")
            priorities = try reader.optional("priorities") ?? []
        }

        public var json: JSON {
            var object = JSONObject()
            object.set("classID", classID)
            object.set("priorities", nonEmpty: priorities)
            return .object(object)
        }
    }

    public struct InterfacePriority: JSONDocument, Equatable {
        public var name: String
        public var priority: UInt32

        public init(name: String, priority: UInt32) {
            self.name = name
            self.priority = priority
        }

        public init(json: JSON) throws(JSONError) {
            var reader = try ObjectReader(json)
            name = try reader.required("name")
            priority = try reader.optional("priority") ?? 0
        }

        public var json: JSON {
            var object = JSONObject()
            object.set("name", name)
            object.set("priority", priority)
            return .object(object)
        }
    }
}
