public import JSONText

/// `process.ioPriority`.
public struct IOPriority: JSONDocument, Equatable {
    /// `IOPRIO_CLASS_RT`, `IOPRIO_CLASS_BE` or `IOPRIO_CLASS_IDLE`.
    public var `class`: String
    public var priority: Int

    public init(class: String, priority: Int) {
        self.class = `class`
        self.priority = priority
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        `class` = try reader.optional("class") ?? ""
        priority = try reader.optional("priority") ?? 0
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("class", `class`)
        object.set("priority", priority)
        return .object(object)
    }
}

/// `process.scheduler`, the arguments of sched_setattr(2).
public struct Scheduler: JSONDocument, Equatable {
    /// `SCHED_OTHER`, `SCHED_FIFO`, `SCHED_RR`, `SCHED_BATCH`, `SCHED_ISO`, `SCHED_IDLE` or `SCHED_DEADLINE`.
    public var policy: String
    public var nice: Int32
    public var priority: Int32
    /// `SCHED_FLAG_…` names.
    public var flags: [String]
    /// Nanoseconds, as the two below; for `SCHED_DEADLINE`.
    public var runtime: UInt64
    public var deadline: UInt64
    public var period: UInt64

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        policy = try reader.required("policy")
        nice = try reader.optional("nice") ?? 0
        priority = try reader.optional("priority") ?? 0
        flags = try reader.optional("flags") ?? []
        runtime = try reader.optional("runtime") ?? 0
        deadline = try reader.optional("deadline") ?? 0
        period = try reader.optional("period") ?? 0
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("policy", policy)
        if nice != 0 { object.set("nice", nice) }
        if priority != 0 { object.set("priority", priority) }
        object.set("flags", nonEmpty: flags)
        if runtime != 0 { object.set("runtime", runtime) }
        if deadline != 0 { object.set("deadline", deadline) }
        if period != 0 { object.set("period", period) }
        return .object(object)
    }
}

/// `process.execCPUAffinity`: lists as in `0-3,7`.
public struct ExecCPUAffinity: JSONDocument, Equatable {
    public var initial: String?
    public var final: String?

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        initial = try reader.optional("initial")
        final = try reader.optional("final")
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("initial", initial)
        object.set("final", final)
        return .object(object)
    }
}
