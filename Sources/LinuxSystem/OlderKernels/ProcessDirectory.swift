import Synchronization

/// Kernels before 5.3 have no pidfd_open(2). There the directory in procfs names a process for ever
/// just as well, and pidfd_send_signal(2) takes it; but it cannot be polled.
extension Pidfd {
    private static let hasDirectories = Atomic(false)

    static func openDirectory(of pid: pid_t) throws(SystemError) -> Descriptor {
        hasDirectories.store(true, ordering: .relaxed)
        do throws(SystemError) {
            let directory = try File.open("/proc/\(number(of: pid))", O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            guard try Mount.fileSystemType(of: directory.raw) == Procfs.magic else {
                throw SystemError("verify procfs", "/proc", .crossDevice)
            }
            return directory
        } catch  where error.errno == .noEntry {
            throw SystemError("open process", "\(pid)", .noProcess)
        }
    }

    /// What the procfs at hand calls a process. It may be of a PID namespace above ours, where our
    /// numbers are others': then it has to be a child of the calling thread.
    private static func number(of pid: pid_t) throws(SystemError) -> String {
        if try File.readLink("/proc/self") == "\(getpid())" { return "\(pid)" }
        for child in try File.readText("/proc/thread-self/children").split(separator: " ") {
            guard let status = try? File.readText("/proc/\(child)/status"),
                let line = status.split(separator: "\n").first(where: { $0.hasPrefix("NSpid:") })
            else { continue }
            if line.split(separator: "\t").last == "\(pid)" { return String(child) }
        }
        throw SystemError("open process", "\(pid)", .noProcess)
    }

    /// poll(2) whose first entry waits for the end of a process, by a descriptor that `open` or
    /// `Clone` gave, or is -1.
    public static func poll(_ entries: inout [pollfd], milliseconds: Int32) -> Int32 {
        guard hasDirectories.load(ordering: .relaxed), isDirectory(entries[0].fd) else {
            return Glibc.poll(&entries, nfds_t(entries.count), milliseconds)
        }
        // A hundred times a second.
        let turn: Int32 = 10
        let process = entries[0].fd
        defer { entries[0].fd = process }
        entries[0].fd = -1
        var left = milliseconds
        while true {
            let hasEnded = hasEnded(process)
            let slice = hasEnded ? 0 : left < 0 ? turn : min(left, turn)
            var ready = Glibc.poll(&entries, nfds_t(entries.count), slice)
            if ready < 0 { return ready }
            if hasEnded {
                entries[0].revents = Int16(POLLIN)
                ready += 1
            }
            if ready > 0 || left == 0 { return ready }
            if left > 0 { left -= slice }
        }
    }

    private static func isDirectory(_ fd: Int32) -> Bool {
        guard fd >= 0, let status = try? FD.stat(fd) else { return false }
        return status.st_mode & S_IFMT == S_IFDIR
    }

    /// Also one that nobody has waited for.
    private static func hasEnded(_ directory: Int32) -> Bool {
        guard let text = try? File.read("stat", at: directory, limit: 4096) else { return true }
        return ProcessStatus(text)?.isAlive != true
    }
}
