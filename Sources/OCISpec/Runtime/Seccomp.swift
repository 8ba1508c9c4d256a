public import JSONText

/// `linux.seccomp`.
public struct Seccomp: JSONDocument, Equatable {
    public var defaultAction: Action
    public var defaultErrnoRet: UInt32?
    /// `SCMP_ARCH_X86_64` and the like.
    public var architectures: [String] = []
    /// `SECCOMP_FILTER_FLAG_…` names; nil was absent.
    public var flags: [String]?
    public var listenerPath: String?
    public var listenerMetadata: String?
    public var syscalls: [Syscall] = []
    public var unknown = JSONObject()

    public init(defaultAction: Action, defaultErrnoRet: UInt32? = nil) {
        self.defaultAction = defaultAction
        self.defaultErrnoRet = defaultErrnoRet
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        defaultAction = try reader.required("defaultAction")
        defaultErrnoRet = try reader.optional("defaultErrnoRet")
        architectures = try reader.optional("architectures") ?? []
        flags = try reader.optional("flags")
        listenerPath = try reader.optional("listenerPath")
        listenerMetadata = try reader.optional("listenerMetadata")
        syscalls = try reader.optional("syscalls") ?? []
        unknown = reader.unknown
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("defaultAction", defaultAction)
        object.set("defaultErrnoRet", defaultErrnoRet)
        object.set("architectures", nonEmpty: architectures)
        object.set("flags", flags)
        object.set("listenerPath", listenerPath)
        object.set("listenerMetadata", listenerMetadata)
        object.set("syscalls", nonEmpty: syscalls)
        object.append(unknown: unknown)
        return .object(object)
    }

    public enum Action: String, JSONDocument, Equatable {
        case kill = "SCMP_ACT_KILL"
        case killThread = "SCMP_ACT_KILL_THREAD"
        case killProcess = "SCMP_ACT_KILL_PROCESS"
        case trap = "SCMP_ACT_TRAP"
        case errno = "SCMP_ACT_ERRNO"
        case trace = "SCMP_ACT_TRACE"
        case allow = "SCMP_ACT_ALLOW"
        case log = "SCMP_ACT_LOG"
        case notify = "SCMP_ACT_NOTIFY"

        public init(json: JSON) throws(JSONError) {
            let name = try String(json: json)
            guard let action = Action(rawValue: name) else {
                throw JSONError("unknown seccomp action \"\(name)\"")
            }
            self = action
        }
        public var json: JSON { .string(rawValue) }
    }

    public enum Comparison: String, JSONDocument, Equatable {
        case notEqual = "SCMP_CMP_NE"
        case less = "SCMP_CMP_LT"
        case lessOrEqual = "SCMP_CMP_LE"
        case equal = "SCMP_CMP_EQ"
        case greaterOrEqual = "SCMP_CMP_GE"
        case greater = "SCMP_CMP_GT"
        case maskedEqual = "SCMP_CMP_MASKED_EQ"

        public init(json: JSON) throws(JSONError) {
            let name = try String(json: json)
            guard let comparison = Comparison(rawValue: name) else {
                throw JSONError("unknown seccomp operator \"\(name)\"")
            }
            self = comparison
        }
        public var json: JSON { .string(rawValue) }
    }

    /// One of `syscalls`: what happens to some calls when all `args` match.
    public struct Syscall: JSONDocument, Equatable {
        public var names: [String]
        public var action: Action
        public var errnoRet: UInt32?
        public var args: [Argument]

        public init(names: [String], action: Action, errnoRet: UInt32? = nil, args: [Argument] = []) {
            self.names = names
            self.action = action
            self.errnoRet = errnoRet
            self.args = args
        }

        public init(json: JSON) throws(JSONError) {
            var reader = try ObjectReader(json)
            names = try reader.required("names")
            action = try reader.required("action")
            errnoRet = try reader.optional("errnoRet")
            args = try reader.optional("args") ?? []
        }

        public var json: JSON {
            var object = JSONObject()
            object.set("names", names)
            object.set("action", action)
            object.set("errnoRet", errnoRet)
            object.set("args", nonEmpty: args)
            return .object(object)
        }
    }

    public struct Argument: JSONDocument, Equatable {
        /// 0 to 5.
        public var index: UInt32
        public var value: UInt64
        /// For `maskedEqual`: `value` is the mask, and this is compared with.
        public var valueTwo: UInt64?
        public var op: Comparison

        public init(index: UInt32, value: UInt64, valueTwo: UInt64? = nil, op: Comparison) {
            self.index = index
            self.value = value
            self.valueTwo = valueTwo
            self.op = op
        }

        public init(json: JSON) throws(JSONError) {
            var reader = try ObjectReader(json)
            index = try reader.required("index")
            value = try reader.optional("value") ?? 0
            valueTwo = try reader.optional("valueTwo")
            op = try reader.required("op")
            guard index < 6 else { throw JSONError(path: "index", "is not from 0 to 5") }
        }

        public var json: JSON {
            var object = JSONObject()
            object.set("index", index)
            object.set("value", value)
            object.set("valueTwo", valueTwo)
            object.set("op", op)
            return .object(object)
        }
    }
}
