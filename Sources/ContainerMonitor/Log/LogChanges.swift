import LinuxSystem

/// Waits for a log to grow and for its container to end: by inotify and the
/// monitor's pidfd, or ten times a second where the kernel has none left to give.
final class LogChanges {
    private let statusPath: String
    private let inotify: SharedInotify?
    private var monitor: (identity: ProcessIdentity, descriptor: SharedDescriptor)?

    private final class SharedInotify {
        let value: Inotify
        init(_ paths: [String]) throws(SystemError) {
            value = try Inotify()
            // The directories: the files change their names.
            for path in Set(paths.map { String($0[..<($0.lastIndex(of: "/") ?? $0.startIndex)]) }) {
                try value.watch(path, Inotify.modified | Inotify.created | Inotify.movedInto)
            }
        }
    }

    init(_ logPath: String, statusPath: String) {
        self.statusPath = statusPath
        inotify = try? SharedInotify([logPath, statusPath])
    }

    /// Nothing will be written any more: the container has ended for good, or its monitor has died.
    var hasEnded: Bool {
        guard let record: StatusRecord = (try? readDocument(statusPath)) ?? nil else { return true }
        if record.phase == .exited { return true }
        if monitor?.identity != record.monitor {
            let pidfd = try? SharedDescriptor(Pidfd.open(record.monitor.pid))
            monitor = pidfd.map { (record.monitor, $0) }
        }
        return !record.monitor.isAlive
    }

    func wait() {
        var entries = [
            pollfd(fd: monitor?.descriptor.raw ?? -1, events: Int16(POLLIN), revents: 0),
            pollfd(fd: inotify?.value.raw ?? -1, events: Int16(POLLIN), revents: 0),
        ]
        _ = Pidfd.poll(&entries, milliseconds: inotify == nil ? 100 : monitor == nil ? 1000 : -1)
        inotify?.value.drain()
    }
}
