import LinuxSystem

/// The container's own control groups, as a mount of type `cgroup` shows them.
struct CgroupMounts {
    /// Only cgroup v2.
    var isUnified: Bool
    /// The container has a cgroup namespace of its own.
    var hasNamespace: Bool
    /// The directory's name below the mount (`memory`, `cpu,cpuacct`, `systemd`),
    /// and the container's group on the host.
    var hierarchies: [(name: String, path: String)]
    /// Other names of hierarchies with several controllers.
    var links: [(name: String, target: String)] = []

    init(_ plan: CgroupPlan, hasNamespace: Bool) {
        self.init(plan.members, isUnified: plan.layout.kind == .unified, hasNamespace: hasNamespace)
    }

    /// Of a group that is there already.
    init(_ cgroup: Cgroup, hasNamespace: Bool) {
        self.init(
            cgroup.paths.map { ($0, $1) }, isUnified: cgroup.layout == .unified, hasNamespace: hasNamespace)
    }

    private init(_ paths: [(key: String, path: String)], isUnified: Bool, hasNamespace: Bool) {
        self.hasNamespace = hasNamespace
        self.isUnified = isUnified
        hierarchies = []
        for (controllers, path) in paths {
            guard isUnified || !controllers.isEmpty else { continue }
            let name =
                controllers.utf8.starts(with: "name=".utf8) ? String(controllers.dropFirst(5)) : controllers
            hierarchies.append((name, path))
            let parts = controllers.split(separator: ",")
            if parts.count > 1 { for part in parts { links.append((String(part), name)) } }
        }
    }
}

extension Rootfs {
    private static let confined =
        UInt64(MOUNT_ATTR_NOSUID) | UInt64(MOUNT_ATTR_NODEV) | UInt64(MOUNT_ATTR_NOEXEC)

    func mountCgroups(_ request: MountRequest, _ cgroups: CgroupMounts) throws(RuntimeError) {
        let place = try during("open mount point") { () throws(SystemError) in
            try makeDirectories(request.destination)
        }
        if cgroups.isUnified {
            try mountUnified(request, cgroups, on: place.raw)
        } else {
            try mountLegacy(request, cgroups, on: place.raw)
        }
    }

    private func mountUnified(
        _ request: MountRequest, _ cgroups: CgroupMounts, on place: Int32
    ) throws(RuntimeError) {
        try during("mount cgroup2") { () throws(SystemError) in
            let mount: Descriptor
            do throws(SystemError) {
                let context = try Mount.Context(type: "cgroup2")
                try context.set("source", "cgroup")
                mount = try context.mount(attributes: request.options.attributes.added)
            } catch  where error.errno == .notPermitted || error.errno == .busy {
                // A user namespace may mount it only with a cgroup namespace of its own; the
                // group's directory looks the same.
                let path = cgroups.hasNamespace ? cgroups.hierarchies.first?.path : nil
                do throws(SystemError) {
                    mount = try Mount.clone(path ?? "/sys/fs/cgroup", recursive: true)
                } catch  where error.errno == .noEntry && path != nil {
                    // The container does without a group. The host's, which is below a bind mount
                    // of /sys, is not for it.
                    mount = try Self.makeEmpty()
                }
                try Mount.change(mount.raw, request.options.attributes, recursive: true)
            }
            try Mount.attach(mount.raw, onto: place)
            try applyPropagation(request.options, mount.raw)
        }
    }

    /// A tmpfs with the container's group of each hierarchy bound into it. In a
    /// cgroup namespace that is what mounting the hierarchies would give
    /// (cgroup_namespaces(7)), with fewer calls.
    private func mountLegacy(
        _ request: MountRequest, _ cgroups: CgroupMounts, on place: Int32
    ) throws(RuntimeError) {
        try during("mount cgroups") { () throws(SystemError) in
            let context = try Mount.Context(type: "tmpfs")
            try context.set("source", "cgroup")
            try context.set("mode", "755")
            let directory = try context.mount(attributes: Self.confined)
            try Mount.attach(directory.raw, onto: place)
            for (name, path) in cgroups.hierarchies {
                try File.makeDirectory(name, at: directory.raw)
                let group: Descriptor
                do throws(SystemError) {
                    group = try Mount.clone(path)
                } catch  where error.errno == .noEntry {
                    continue
                }
                try Mount.attach(group.raw, onto: name, at: directory.raw)
            }
            for (name, target) in cgroups.links {
                try File.makeSymbolicLink(to: target, name, at: directory.raw)
            }
            var attributes = request.options.attributes
            attributes.added |= Self.confined
            try Mount.change(directory.raw, attributes, recursive: true)
            try applyPropagation(request.options, directory.raw)
        }
    }
}
