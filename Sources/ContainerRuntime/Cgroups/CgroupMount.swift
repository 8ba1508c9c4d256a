internal import LinuxSystem

/// A mounted hierarchy of control groups.
struct CgroupMount: Equatable {
    enum Version: Equatable { case v1, v2 }

    let version: Version
    /// v1: what the hierarchy was mounted with, as in `["cpu", "cpuacct"]` or
    /// `["name=systemd"]`. v2 has its list in a file.
    let controllers: [String]
    let point: String
    /// This process's own group in the hierarchy.
    let own: String

    /// The name by which `Cgroup.paths` and a recorded state know the hierarchy.
    var key: String { controllers.joinedPlainly(by: ",") }
}

/// The hierarchies that are mounted here.
struct CgroupLayout {
    let kind: Cgroup.Layout
    let mounts: [CgroupMount]

    private static let root = "/sys/fs/cgroup"
    // linux/magic.h
    private static let tmpfs = 0x0102_1994
    private static let cgroupV1 = 0x0027_e0eb
    private static let cgroupV2 = 0x6367_7270

    /// Looks at the places where distributions mount hierarchies, and reads
    /// mountinfo only when that does not explain everything: mountinfo grows with
    /// each container's mounts.
    static func current() throws(CgroupError) -> CgroupLayout {
        let rootType = fileSystem(root)
        if rootType == cgroupV2 {
            let own = try ownGroups().first { $0.controllers.isEmpty }?.path ?? "/"
            return CgroupLayout(
                kind: .unified, mounts: [CgroupMount(version: .v2, controllers: [], point: root, own: own)])
        }
        var mounts: [CgroupMount] = []
        var others: [CgroupMount]?
        for group in try ownGroups() {
            let isV2 = group.controllers.isEmpty
            let name = isV2 ? "unified" : group.controllers.map(directory(of:)).joinedPlainly(by: ",")
            let point = "\(root)/\(name)"
            let mount = CgroupMount(
                version: isV2 ? .v2 : .v1, controllers: group.controllers, point: point, own: group.path)
            if rootType == tmpfs, fileSystem(point) == (isV2 ? cgroupV2 : cgroupV1) {
                mounts.append(mount)
                continue
            }
            // Beside v1 hierarchies in their usual places, v2 is of use only in its own.
            if isV2, rootType == tmpfs { continue }
            if others == nil { others = try mounted() }
            if let found = others?.first(where: { same($0, mount) }) {
                mounts.append(
                    CgroupMount(
                        version: found.version, controllers: group.controllers, point: found.point,
                        own: group.path))
            }
        }
        guard !mounts.isEmpty else { throw CgroupError(.controllerMissing, "no cgroup hierarchy is mounted") }
        let hasV1 = mounts.contains { $0.version == .v1 }
        let hasV2 = mounts.contains { $0.version == .v2 }
        return CgroupLayout(kind: hasV1 ? hasV2 ? .hybrid : .legacy : .unified, mounts: mounts)
    }

    private static func directory(of controller: String) -> String {
        controller.hasPrefix("name=") ? String(controller.dropFirst(5)) : controller
    }

    private static func same(_ a: CgroupMount, _ b: CgroupMount) -> Bool {
        a.version == b.version && Set(a.controllers) == Set(b.controllers)
    }

    private static func fileSystem(_ path: String) -> Int {
        var status = statfs()
        return statfs(path, &status) == 0 ? Int(status.f_type) : 0
    }

    private struct OwnGroup {
        var controllers: [String]
        var path: String
    }

    /// /proc/self/cgroup: `4:memory:/a/b`, `0::/a/b` (cgroups(7)).
    private static func ownGroups() throws(CgroupError) -> [OwnGroup] {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try File.read("/proc/thread-self/cgroup")
        } catch {
            throw CgroupError(error, "read /proc/thread-self/cgroup")
        }
        var groups: [OwnGroup] = []
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            guard let first = line.firstIndex(of: UInt8(ascii: ":")),
                let second = line[(first + 1)...].firstIndex(of: UInt8(ascii: ":"))
            else { continue }
            var controllers: [String] = []
            for name in line[(first + 1)..<second].split(separator: UInt8(ascii: ",")) {
                controllers.append(String(decoding: name, as: UTF8.self))
            }
            groups.append(
                OwnGroup(
                    controllers: controllers, path: String(decoding: line[(second + 1)...], as: UTF8.self)))
        }
        return groups
    }

    /// /proc/self/mountinfo (proc_pid_mountinfo(5)): the file system's type and its
    /// options follow a lone `-`. Named controllers and co-mounted ones are options.
    private static func mounted() throws(CgroupError) -> [CgroupMount] {
        let text: String
        do throws(SystemError) {
            text = try File.readText("/proc/thread-self/mountinfo")
        } catch {
            throw CgroupError(error, "read /proc/thread-self/mountinfo")
        }
        let notControllers: Set<Substring> = [
            "rw", "ro", "noprefix", "xattr", "clone_children", "cpuset_v2_mode", "favordynmods",
            "nofavordynmods",
        ]
        return text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard let dash = fields.firstIndex(of: "-"), fields.count >= dash + 4, dash > 5 else {
                return nil
            }
            let point = unescape(fields[4])
            switch fields[dash + 1] {
            case "cgroup2":
                return CgroupMount(version: .v2, controllers: [], point: point, own: "/")
            case "cgroup":
                let controllers = fields[dash + 3].split(separator: ",").filter {
                    !notControllers.contains($0) && !$0.hasPrefix("release_agent=")
                }
                return CgroupMount(
                    version: .v1, controllers: controllers.map(String.init), point: point, own: "/")
            default: return nil
            }
        }
    }

    /// `\040` and the like.
    static func unescape(_ field: Substring) -> String {
        guard field.contains("\\") else { return String(field) }
        var bytes: [UInt8] = []
        var rest = Array(field.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3,
                let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
