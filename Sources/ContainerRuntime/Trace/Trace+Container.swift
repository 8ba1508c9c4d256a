import JSONText
import LinuxSystem
import OCISpec

/// The words for a container's parts.
extension Trace {
    func noteCgroups(_ paths: [(key: String, path: String)], _ resources: LinuxResources?) {
        for (key, path) in paths { note("cgroup", key.isEmpty ? path : "\(key) \(path)") }
        guard var resources else { return }
        let rules = resources.devices.count
        if rules > 0 { note("limit", "devices: \(rules) rule\(rules == 1 ? "" : "s")") }
        resources.devices = []
        guard case .object(let object) = resources.json else { return }
        for member in object.members { note("limit", "\(member.name): \(member.value.text())") }
    }

    func didMapIDs(_ linux: LinuxSpec) {
        func text(_ mappings: [IDMapping]) -> String {
            mappings.map { "\($0.containerID) is \($0.hostID), \($0.size) of them" }.joined(separator: "; ")
        }
        did("id maps", "users \(text(linux.uidMappings)); groups \(text(linux.gidMappings))")
    }

    func didMount(_ mount: MountSpec) {
        var text = "\(mount.type ?? "bind") \(mount.source ?? "") on \(mount.destination)"
        if !mount.options.isEmpty { text += " (\(mount.options.joined(separator: ",")))" }
        did("mount", text)
    }

    /// What the launch program is told to do, last of all.
    func didPrepareLaunch(_ plan: ProcessPlan) {
        did("prepare", "the launch program: what follows")
        for (_, name, limit) in plan.rlimits { note("rlimit", "\(name) \(limit.rlim_cur) \(limit.rlim_max)") }
        let user = plan.spec.user
        let groups = user.additionalGids.map { " \($0)" }.joined()
        note("user", "\(user.uid):\(user.gid)" + (groups.isEmpty ? "" : " and groups" + groups))
        note("capability", "bounding \(Self.names(plan.bounding))")
        note("capability", "effective \(Self.names(plan.effective))")
        if plan.ambient.bits != 0 { note("capability", "ambient \(Self.names(plan.ambient))") }
        if plan.spec.noNewPrivileges { note("no_new_privs", "set") }
        if let filter = plan.seccomp { note("seccomp", "load \(filter.program.count) instructions") }
    }
}

extension Trace {
    /// What a clone made at once.
    static func names(_ flags: Int32, _ isBornInCgroup: Bool) -> String {
        let kinds = LinuxNamespace.Kind.allCases.filter { flags & $0.flag != 0 }.map(\.rawValue)
        var text =
            kinds.isEmpty ? "the process" : "the process, in namespaces: \(kinds.joined(separator: ", "))"
        if isBornInCgroup { text += ", and in its cgroup" }
        return text
    }

    func didMakeDevices(_ devices: [LinuxDevice]) {
        let paths = Rootfs.defaultDevices.map(\.path) + devices.map(\.path)
        did("devices", Set(paths).sorted().joined(separator: " "))
    }

    private static func names(_ set: CapabilitySet) -> String {
        let names = Capability.allKnown.filter { set.contains($0) }.map { "\($0)".dropFirst(4) }
        return names.isEmpty ? "none" : names.joined(separator: " ")
    }
}
