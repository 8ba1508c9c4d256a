import LinuxSystem

/// The kernel's resource control file system, by which processors with Intel RDT share out cache
/// and memory bandwidth (Documentation/filesystems/resctrl.rst). Who runs the machine mounts it.
struct ResctrlMount {
    let path: String

    init(path: String) { self.path = path }

    private static let usualPath = "/sys/fs/resctrl"
    private static let magic = 0x765_5821

    /// nil when it is not mounted.
    static func find() throws(SystemError) -> ResctrlMount? {
        // The kernel makes the directory on machines that have the feature.
        guard let directory = try? File.open(usualPath, O_PATH | O_DIRECTORY) else { return nil }
        if try Mount.fileSystemType(of: directory.raw) == magic { return ResctrlMount(path: usualPath) }
        return try find(in: File.readText("/proc/self/mountinfo"))
    }

    /// - Parameter mounts: a mountinfo (proc_pid_mountinfo(5)).
    static func find(in mounts: String) -> ResctrlMount? {
        for line in mounts.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard let dash = fields.firstIndex(of: "-"), dash >= 5, dash + 1 < fields.count,
                fields[dash + 1] == "resctrl"
            else { continue }
            return ResctrlMount(path: CgroupLayout.unescape(fields[4]))
        }
        return nil
    }

    var sharesCache: Bool { File.exists("\(path)/info/L3") }
    var sharesBandwidth: Bool { File.exists("\(path)/info/MB") }

    /// A file's text without white space around it; nil where there is none.
    func text(_ file: String) -> String? {
        guard let text = try? File.readText("\(path)/\(file)") else { return nil }
        return text.split(separator: "\n").map(String.init).joined(separator: "\n")
    }

    /// Says what the kernel says of a request that it refused.
    func during<Value>(
        _ what: @autoclosure () -> String, _ body: () throws(SystemError) -> Value
    ) throws(RuntimeError) -> Value {
        do throws(SystemError) {
            return try body()
        } catch {
            let status = text("info/last_cmd_status").map { " (last_cmd_status: \($0))" } ?? ""
            throw RuntimeError(.system, "intelRdt: \(what())\(status)", cause: error)
        }
    }
}
