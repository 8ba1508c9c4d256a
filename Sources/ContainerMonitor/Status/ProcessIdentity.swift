public import JSONText
import LinuxSystem

/// A process that no other can be taken for: process ids are used again, but
/// not with the same start time in the same boot.
public struct ProcessIdentity: JSONDocument, Equatable {
    public var pid: Int32
    /// In clock ticks since the boot (proc_pid_stat(5), field 22).
    public var startTime: UInt64
    /// /proc/sys/kernel/random/boot_id.
    public var bootID: String

    public init(pid: Int32, startTime: UInt64, bootID: String) {
        self.pid = pid
        self.startTime = startTime
        self.bootID = bootID
    }

    /// The process that has this id now, or nil when there is none but a zombie.
    public init?(of pid: Int32) {
        guard let status = (try? ProcessStatus.read(pid)) ?? nil, status.isAlive,
            let bootID = Boot.id
        else { return nil }
        self.init(pid: pid, startTime: status.startTime, bootID: bootID)
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        pid = try reader.required("pid")
        startTime = try reader.required("startTime")
        bootID = try reader.required("bootID")
    }

    public var json: JSON {
        ["pid": .integer(Int64(pid)), "startTime": startTime.json, "bootID": .string(bootID)]
    }

    /// Whether it still runs. A zombie does not.
    public var isAlive: Bool { ProcessIdentity(of: pid) == self }
}
