internal import JSONText
internal import LinuxSystem

extension Cgroup {
    /// Removes the group and those below it, in every hierarchy. It must have no
    /// processes, or only such as are dying: those are waited for, up to a limit.
    /// Groups above stay, as runc leaves them; others may be using them.
    /// - Throws: `.inUse` when processes remain.
    public func delete(patience seconds: Double = 5) throws(CgroupError) {
        if let unit { try end(unit, patience: seconds) }
        var remaining = Array(paths.values)
        var pause: UInt32 = 100
        var waited = 0.0
        while true {
            var busy: [String] = []
            for path in remaining {
                do throws(SystemError) {
                    try Self.remove(path, depth: 0)
                } catch  where error.errno == .busy {
                    busy.append(path)
                } catch {
                    throw CgroupError(error, "remove cgroup \(path)")
                }
            }
            if busy.isEmpty { return }
            guard waited < seconds else { throw CgroupError(.inUse, "remove cgroup \(busy[0])", .busy) }
            usleep(pause)
            waited += Double(pause) / 1_000_000
            pause = min(pause * 2, 50_000)
            remaining = busy
        }
    }

    /// Removes the group that `json` described if nothing is in it any more, which
    /// is the rule, without opening its directories first.
    /// - Returns: whether it is gone.
    static func removeEmpty(_ recorded: JSON) -> Bool {
        guard recorded["systemd"] == nil, let paths = recorded["paths"]?.object else { return false }
        for (_, value) in paths.members {
            guard let path = value.string, path.utf8.first == UInt8(ascii: "/"),
                !path.utf8.elementsEqual("/".utf8)
            else { return false }
            do throws(SystemError) {
                try File.removeDirectory(path)
            } catch {
                if error.errno != .noEntry { return false }
            }
        }
        return true
    }

    private static func remove(_ path: String, depth: Int) throws(SystemError) {
        do throws(SystemError) {
            try File.removeDirectory(path)
        } catch  where error.errno == .noEntry || error.errno.rawValue == ENODEV {
            return
        } catch  where error.errno.rawValue == EROFS && !File.exists(path) {
            // A runtime that was killed before it could make it.
            return
        } catch  where error.errno == .busy && depth < depthLimit {
            // Processes, or groups below: those first.
            let directory: Descriptor
            do throws(SystemError) {
                directory = try File.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            } catch  where error.errno == .noEntry {
                return
            }
            let children = try children(of: directory.raw)
            if children.isEmpty { throw error }
            for child in children { try remove("\(path)/\(child)", depth: depth + 1) }
            do throws(SystemError) {
                try File.removeDirectory(path)
            } catch  where error.errno == .noEntry {}
        }
    }
}
