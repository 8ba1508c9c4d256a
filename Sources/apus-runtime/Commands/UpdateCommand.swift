import CommandGrammar
import ContainerRuntime
import JSONText
import LinuxSystem
import OCISpec

enum UpdateCommand {
    static let command = Command(
        "update", usage: "[command options] <container-id>",
        summary: "update container resource constraints", arguments: .exactly(1), flags: { flags }, run: run)

    private static var flags: [Flag] {
        [
            Flag(
                "resources", short: "r", .string("value"),
                "path to the file containing the resources to update, as linux.resources in config.json has them, or '-' to read from the standard input; all other options are ignored then"
            ),
            Flag(
                "blkio-weight", .unsignedInteger("value"),
                "Specifies per cgroup weight, range is from 10 to 1000"),
            Flag(
                "cpu-period", .unsignedInteger("value"),
                "CPU CFS period to be used for hardcapping (in usecs). 0 to use system default"),
            Flag(
                "cpu-quota", .integer("value"),
                "CPU CFS hardcap limit (in usecs). Allowed cpu time in a given period"),
            Flag(
                "cpu-burst", .unsignedInteger("value"),
                "CPU CFS hardcap burst limit (in usecs). Allowed accumulated cpu time additionally for burst a given period"
            ),
            Flag("cpu-share", .unsignedInteger("value"), "CPU shares (relative weight vs. other containers)"),
            Flag(
                "cpu-rt-period", .unsignedInteger("value"),
                "CPU realtime period to be used for hardcapping (in usecs). 0 to use system default"),
            Flag(
                "cpu-rt-runtime", .integer("value"),
                "CPU realtime hardcap limit (in usecs). Allowed cpu time in a given period"),
            Flag("cpuset-cpus", .string("value"), "CPU(s) to use"),
            Flag("cpuset-mems", .string("value"), "Memory node(s) to use"),
            Flag("kernel-memory", .size("value"), "(obsoleted; do not use)", hidden: true),
            Flag("kernel-memory-tcp", .size("value"), "(obsoleted; do not use)", hidden: true),
            Flag("memory", .size("value"), "Memory limit (in bytes)"),
            Flag(
                "cpu-idle", .integer("value"),
                "set cgroup SCHED_IDLE or not, 0: default behavior, 1: SCHED_IDLE"),
            Flag("memory-reservation", .size("value"), "Memory reservation or soft_limit (in bytes)"),
            Flag(
                "memory-swap", .size("value"),
                "Total memory usage (memory + swap); set '-1' to enable unlimited swap"),
            Flag("l3-cache-schema", .string("value"), "The string of Intel RDT/CAT L3 cache schema"),
            Flag("mem-bw-schema", .string("value"), "The string of Intel RDT/MBA memory bandwidth schema"),
            Flag("pids-limit", .integer("value"), "Maximum number of pids allowed in the container"),
        ]
    }

    static func run(_ values: Values) throws -> Int32 {
        let log = try RuntimeLog(values)
        var resources = LinuxResources()
        if let path = values.string("resources"), !path.isEmpty {
            resources = try read(path)
        } else {
            take(values, into: &resources)
        }
        if values.isSet("kernel-memory") || values.isSet("kernel-memory-tcp")
            || resources.memory?.kernel != nil || resources.memory?.kernelTCP != nil
        {
            log.warn("Kernel memory settings are ignored and will be removed")
        }
        try values.runtime.update(values.arguments[0], resources, intelRdt: intelRdt(values))
        return 0
    }

    private static func intelRdt(_ values: Values) -> IntelRdt? {
        func text(_ name: String) -> String? { values.string(name).flatMap { $0.isEmpty ? nil : $0 } }
        let config = IntelRdt(l3CacheSchema: text("l3-cache-schema"), memBwSchema: text("mem-bw-schema"))
        return config == IntelRdt() ? nil : config
    }

    private static func read(_ path: String) throws -> LinuxResources {
        let bytes = path == "-" ? try FD.readAll(0) : try File.read(path, limit: 16 << 20)
        do throws(JSONError) {
            return try LinuxResources(json: try JSON(parsing: bytes, refusingNUL: true))
        } catch {
            throw RuntimeError(.invalidConfig, "\(path == "-" ? "standard input" : path): \(error)")
        }
    }

    private static func take(_ values: Values, into resources: inout LinuxResources) {
        var cpu = LinuxResources.CPU()
        cpu.shares = values.uint("cpu-share").map { UInt64($0) }
        cpu.quota = values.int("cpu-quota").map { Int64($0) }
        cpu.period = values.uint("cpu-period").map { UInt64($0) }
        cpu.burst = values.uint("cpu-burst").map { UInt64($0) }
        cpu.realtimePeriod = values.uint("cpu-rt-period").map { UInt64($0) }
        cpu.realtimeRuntime = values.int("cpu-rt-runtime").map { Int64($0) }
        cpu.cpus = values.string("cpuset-cpus")
        cpu.mems = values.string("cpuset-mems")
        cpu.idle = values.int("cpu-idle").map { Int64($0) }
        resources.cpu = cpu
        var memory = LinuxResources.Memory()
        memory.limit = values.size("memory")
        memory.swap = values.size("memory-swap")
        memory.reservation = values.size("memory-reservation")
        resources.memory = memory
        if let weight = values.uint("blkio-weight"), weight != 0 {
            var io = LinuxResources.BlockIO()
            io.weight = UInt16(clamping: weight)
            resources.blockIO = io
        }
        if let limit = values.int("pids-limit") { resources.pids = .init(limit: Int64(limit)) }
    }
}
