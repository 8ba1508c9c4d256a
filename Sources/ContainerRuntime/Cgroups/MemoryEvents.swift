internal import LinuxSystem

/// Tells when processes of a group want memory that there is not: in v1 by an eventfd
/// (memory.rst, "OOM Control"), in v2 by changes of memory.events.
struct MemoryEvents: ~Copyable {
    private let notification: Descriptor
    /// v1: open as long as it is to be told.
    private let control: Descriptor?
    private let group: CgroupDirectory
    private var kills: UInt64

    /// Readable when there is news.
    var raw: Int32 { notification.raw }

    /// nil when no memory controller is at work.
    init?(_ cgroup: Cgroup) throws(CgroupError) {
        do throws(SystemError) {
            if let memory = cgroup.legacy("memory") {
                let event = Descriptor(
                    owning: try retrying("eventfd") { eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK)) })
                let file = try File.open("memory.oom_control", at: memory.raw, O_RDONLY)
                try File.write("\(event.raw) \(file.raw)", to: "cgroup.event_control", at: memory.raw)
                notification = event
                control = consume file
                group = memory
                kills = 0
            } else if let unified = cgroup.unified, unified.has("memory.events") {
                let events = try Inotify()
                try events.watch("\(unified.path)/memory.events", Inotify.modified)
                notification = events.intoDescriptor()
                control = nil
                group = unified
                kills = ((try? unified.number("oom_kill", in: "memory.events")) ?? nil) ?? 0
            } else {
                return nil
            }
        } catch {
            throw CgroupError(error, "watch the group's memory")
        }
    }

    /// Takes the news. Whether it was of memory that was wanted, in a group that is still there.
    mutating func take() -> Bool {
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
            while Glibc.read(notification.raw, buffer.baseAddress, buffer.count) > 0 {
                // An eventfd has one number.
                if control != nil { break }
            }
        }
        if control != nil {
            // The eventfd is also signalled when the group is removed.
            return File.exists("\(group.path)/cgroup.procs")
        }
        let now = ((try? group.number("oom_kill", in: "memory.events")) ?? nil) ?? 0
        defer { kills = now }
        return now > kills
    }
}
