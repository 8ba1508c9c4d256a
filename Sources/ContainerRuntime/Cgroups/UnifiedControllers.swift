internal import LinuxSystem

/// The controllers of a v2 hierarchy work in a group only when every group above
/// hands them down (cgroup.subtree_control).
enum UnifiedControllers {
    /// Has every available controller handed down to a group.
    static func enable(_ path: CgroupPath, in mount: CgroupMount, _ group: CgroupDirectory)
        throws(CgroupError)
    {
        do throws(SystemError) {
            let root = try File.open(mount.point, O_PATH | O_DIRECTORY)
            let available = try File.readText("cgroup.controllers", at: root.raw).split(
                whereSeparator: \.isWhitespace)
            let here = try File.readText("cgroup.controllers", at: group.raw).split(
                whereSeparator: \.isWhitespace)
            if available.allSatisfy(here.contains) { return }
            for count in 0..<path.components.count {
                let parent = path.components.prefix(count).joined(separator: "/")
                let file = parent.isEmpty ? "cgroup.subtree_control" : "\(parent)/cgroup.subtree_control"
                let enabled = try File.readText(file, at: root.raw).split(whereSeparator: \.isWhitespace)
                let missing = available.filter { !enabled.contains($0) }
                if missing.isEmpty { continue }
                do throws(SystemError) {
                    try File.write(missing.map { "+\($0)" }.joined(separator: " "), to: file, at: root.raw)
                } catch {
                    // One that cannot be had (cpu beside real-time processes, or a
                    // group with processes of its own) must not cost the others. A
                    // limit that needs it says so later.
                    for controller in missing { try? File.write("+\(controller)", to: file, at: root.raw) }
                }
            }
        } catch {
            throw CgroupError(error, "enable controllers for \(group.path)")
        }
    }

    /// Has one controller handed down to a group by those above, up to the mount.
    static func enable(_ controller: String, above group: CgroupDirectory) throws(CgroupError) {
        var chain: [String] = []
        var path = group.path
        while let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            path = String(path[..<slash])
            guard File.exists("\(path)/cgroup.subtree_control") else { break }
            chain.append(path)
        }
        for path in chain.reversed() {
            let file = "\(path)/cgroup.subtree_control"
            do throws(SystemError) {
                if try File.readText(file).split(whereSeparator: \.isWhitespace).contains(where: {
                    $0 == controller
                }) {
                    continue
                }
                try File.write("+\(controller)", to: file)
            } catch  where error.errno == .noEntry {
                // Not a controller of this hierarchy.
                return
            } catch {
                throw CgroupError(error, "enable the cgroup controller \(controller) in \(path)")
            }
        }
    }
}
