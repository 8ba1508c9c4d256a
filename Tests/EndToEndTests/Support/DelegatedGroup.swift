import LinuxSystem

/// A control group that is the rootless user's, in every hierarchy (cgroup-v2.rst, "Delegation").
final class DelegatedGroup {
    let path: String
    private var directories: [String] = []

    init(_ host: Host) throws {
        path = "/apus-\(host.prefix)"
        let base = "/sys/fs/cgroup"
        let isUnified = File.exists("\(base)/cgroup.controllers")
        let hierarchies =
            isUnified
            ? [base]
            : try File.names(in: base).sorted().map { "\(base)/\($0)" }.filter {
                File.exists("\($0)/cgroup.procs") && (try? File.readLink($0)) == nil
            }
        for hierarchy in hierarchies {
            let directory = hierarchy + path
            try File.makeDirectory(directory)
            directories.append(directory)
            for file in try File.names(in: directory) + ["."]
            where [".", "cgroup.procs", "tasks", "cgroup.subtree_control", "cpuset.cpus", "cpuset.mems"]
                .contains(file)
            {
                chown("\(directory)/\(file)", UInt32(RootlessUser.id), UInt32(RootlessUser.id))
            }
        }
        if isUnified {
            // Who moves a process needs rights over the group above both: here the root's.
            let file = "\(base)/cgroup.procs"
            chown(file, UInt32(RootlessUser.id), 0)
            host.later { chown(file, 0, 0) }
            let controllers = try File.readText("\(base)/cgroup.controllers").fields
            for name in controllers {
                try? File.write("+\(name)", to: "\(base)/cgroup.subtree_control")
            }
        }
        host.later { [self] in
            for directory in directories {
                for name in below(directory) { rmdir("\(directory)/\(name)") }
                rmdir(directory)
            }
        }
    }

    /// The groups that are left in it.
    var below: [String] { directories.flatMap(below(_:)) }

    private func below(_ directory: String) -> [String] {
        ((try? File.names(in: directory)) ?? []).filter { File.exists("\(directory)/\($0)/cgroup.procs") }
    }

    private func directory(of controller: String) -> String? {
        if directories.count == 1, File.exists("\(directories[0])/cgroup.controllers") {
            let here = (try? File.readText("\(directories[0])/cgroup.controllers")) ?? ""
            return here.fields.contains(controller) ? directories[0] : nil
        }
        return directories.first {
            $0.dropLast(path.count).split(separator: "/").last?.split(separator: ",").contains {
                $0 == controller
            } ?? false
        }
    }

    func has(_ controller: String) -> Bool { directory(of: controller) != nil }

    func read(_ controller: String, _ file: String) -> String? {
        directory(of: controller).flatMap { try? File.readText("\($0)/\(file)").trimmed }
    }
}
