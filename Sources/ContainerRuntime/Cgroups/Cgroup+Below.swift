internal import LinuxSystem

extension Cgroup {
    /// The group whose directories are below this one's, where they exist already.
    /// - Parameter paths: by controller; the empty name is for all that is not named.
    func below(_ paths: [String: String]) throws(CgroupError) -> Cgroup {
        for controller in paths.keys.sorted() where !controller.isEmpty {
            guard directories.contains(where: { $0.controllers.contains(controller) }) else {
                throw CgroupError(.invalid, "unknown controller \(controller)")
            }
        }
        var found: [CgroupDirectory] = []
        for directory in directories {
            let named = directory.controllers.lazy.compactMap { paths[$0] }.first
            let path = try Self.join(directory.path, named ?? paths[""] ?? "")
            guard let below = try CgroupDirectory.find(path, directory.version, directory.controllers) else {
                throw CgroupError(.system, "open cgroup \(path)", .noEntry)
            }
            found.append(below)
        }
        return Cgroup(layout: layout, directories: found, isRootless: isRootless)
    }

    private static func join(_ base: String, _ below: String) throws(CgroupError) -> String {
        var depth = 0
        for part in below.utf8.split(separator: UInt8(ascii: "/")) where !part.elementsEqual(".".utf8) {
            depth += part.elementsEqual("..".utf8) ? -1 : 1
            if depth < 0 { throw CgroupError(.invalid, "bad sub cgroup path: \(below)") }
        }
        let path = try CgroupPath(below)
        return path.isRoot ? base : base + path.absolute
    }
}
