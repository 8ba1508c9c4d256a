internal import LinuxSystem

extension Cgroup {
    /// Kills every process of the group and of those below. None escapes by
    /// forking meanwhile. On return the signals are sent; the processes may still
    /// be on their way out, which `delete()` waits for.
    public func kill() throws(CgroupError) {
        // Since Linux 5.14: one write reaches all, also in the hybrid layout.
        if let unified {
            do throws(CgroupError) {
                try unified.write("1", to: "cgroup.kill")
            } catch  where error.errno == .noEntry || error.errno == .notSupported {}
        }
        // What the v2 hierarchy does not know, or has just been killed.
        var remaining = try pids()
        if remaining.isEmpty { return }
        let frozen = legacy("freezer") != nil && (try? freeze()) != nil
        defer { if frozen { try? thaw() } }
        // Without a freezer, again until a round finds nobody new.
        for _ in 0..<16 {
            for pid in remaining { _ = Glibc.kill(pid, SIGKILL) }
            let known = Set(remaining)
            remaining = try pids()
            if remaining.allSatisfy(known.contains) { return }
        }
    }

    /// Sends a signal to every process of the group and of those below.
    public func signal(_ number: Int32) throws(CgroupError) {
        if number == SIGKILL { return try kill() }
        for pid in try pids() where Glibc.kill(pid, number) != 0 {
            let errno = Errno.current
            if errno != .noProcess { throw CgroupError(.system, "signal process \(pid)", errno) }
        }
    }

    public enum FreezerState: Sendable { case frozen, freezing, thawed }

    /// The directory that freezes the group; nil where nothing can.
    var freezerPath: String? { (layout == .unified ? unified : legacy("freezer"))?.path }

    public var freezerState: FreezerState {
        get throws(CgroupError) {
            if let directory = legacy("freezer") {
                return switch try directory.read("freezer.state").prefix(while: { $0 != "\n" }) {
                case "FROZEN": .frozen
                case "FREEZING": .freezing
                default: .thawed
                }
            }
            guard let unified, layout == .unified, unified.has("cgroup.freeze") else { return .thawed }
            if try unified.number("frozen", in: "cgroup.events") == 1 { return .frozen }
            return try unified.number("cgroup.freeze") == 1 ? .freezing : .thawed
        }
    }

    /// Whether the group is stopped already, by someone else.
    static func isFrozen(_ directory: CgroupDirectory) throws(CgroupError) -> Bool {
        if directory.version == .v1 {
            guard directory.controllers.contains("freezer") else { return false }
            return try !directory.read("freezer.state").hasPrefix("THAWED")
        }
        guard directory.has("cgroup.freeze") else { return false }
        return try directory.number("cgroup.freeze") == 1
    }

    /// Stops every process, and returns when all stand still.
    public func freeze() throws(CgroupError) {
        try setFrozen(true)
    }

    public func thaw() throws(CgroupError) {
        try setFrozen(false)
    }

    private func setFrozen(_ frozen: Bool) throws(CgroupError) {
        guard let directory = layout == .unified ? unified : legacy("freezer") else {
            throw CgroupError(.controllerMissing, "the cgroup controller freezer is not mounted")
        }
        let file = directory.version == .v2 ? "cgroup.freeze" : "freezer.state"
        let (go, stop) = directory.version == .v2 ? ("0", "1") : ("THAWED", "FROZEN")
        if !frozen { return try directory.write(go, to: file) }
        do throws(CgroupError) {
            for attempt in 0..<500 {
                try directory.write(stop, to: file)
                // Processes that fork while v1 freezes can keep it from ending; a
                // short thaw lets them be caught (freezer-subsystem.rst).
                if directory.version == .v1, attempt % 50 == 49 {
                    try directory.write(go, to: file)
                    usleep(100)
                    try directory.write(stop, to: file)
                }
                if try freezerState == .frozen { return }
                usleep(attempt < 20 ? 50 : 2000)
            }
            throw CgroupError(.system, "cgroup \(directory.path) does not freeze", Errno(ETIMEDOUT))
        } catch {
            try? directory.write(go, to: file)
            throw error
        }
    }
}
