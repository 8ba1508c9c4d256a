internal import LinuxSystem
internal import OCISpec

/// One controller: what it reads of the resources, and how that is written in
/// each version. The vocabulary is the kernel's: a *controller* (memory, pids, …)
/// limits one resource, and its files are in the group's directory of the
/// hierarchy that it is attached to.
protocol CgroupController: SendableMetatype {
    /// The name in v1, as /proc/cgroups has it.
    static var legacyName: String { get }
    /// The name in v2's cgroup.controllers, or nil when v2 has no such controller.
    static var unifiedName: String? { get }
    /// Whether the resources ask anything of it.
    static func isAsked(_ resources: LinuxResources) -> Bool
    static func setLegacy(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError)
    static func setUnified(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError)
}

extension Cgroup {
    func set(_ resources: LinuxResources, creating: Bool) throws(CgroupError) {
        // One by one: a list of types is made at run time, each time that a program starts.
        try set(resources, CPUSetController.self)
        try set(resources, MemoryController.self)
        try set(resources, CPUController.self)
        try set(resources, PidsController.self)
        try set(resources, BlockIOController.self)
        try set(resources, HugetlbController.self)
        try set(resources, NetworkClassController.self)
        try set(resources, NetworkPriorityController.self)
        try set(resources, RdmaController.self)
        if creating, let cpuset = legacy("cpuset") { try CPUSetController.inherit(cpuset) }
        if creating || !resources.devices.isEmpty {
            do throws(CgroupError) {
                try setDevices(resources.devices, creating: creating)
            } catch  where isRootless && error.code != .invalid {
                // It takes root's rights to restrict devices; without them there are only those
                // that the user may open anyway.
            }
        }
        if !resources.unified.isEmpty { try setUnifiedFiles(resources.unified) }
    }

    private func set<Controller: CgroupController>(
        _ resources: LinuxResources, _ controller: Controller.Type
    ) throws(CgroupError) {
        guard controller.isAsked(resources) else { return }
        if let group = legacy(controller.legacyName) {
            try controller.setLegacy(resources, in: group)
        } else if let group = try unified(controller) {
            try controller.setUnified(resources, in: group)
        } else if isRootless {
            let reason =
                layout == .unified
                ? "rootless needs no limits + no cgrouppath when no permission is granted for cgroups: "
                : ""
            throw CgroupError(
                .controllerMissing,
                "\(reason)cannot set \(controller.legacyName) limit: container could not join or create cgroup"
            )
        } else {
            throw CgroupError(
                .controllerMissing,
                "cannot set \(controller.legacyName) limits: the cgroup controller is not mounted")
        }
    }

    /// The v2 directory, when the controller works there.
    private func unified(_ controller: (some CgroupController).Type) throws(CgroupError) -> CgroupDirectory? {
        guard let unified, let name = controller.unifiedName else { return nil }
        func works() throws(CgroupError) -> Bool {
            try unified.read("cgroup.controllers").split(whereSeparator: \.isWhitespace).contains {
                $0 == name
            }
        }
        if try works() { return unified }
        guard layout == .hybrid else { return nil }
        // Beside v1 the hierarchy is usually used for its processes only, and hands
        // nothing down until someone wants it.
        try UnifiedControllers.enable(name, above: unified)
        return try works() ? unified : nil
    }

    /// `unified`: files of v2 as they are.
    private func setUnifiedFiles(_ files: [String: String]) throws(CgroupError) {
        guard layout == .unified, let unified else {
            throw CgroupError(.invalid, "invalid configuration: unified resources need cgroup v2")
        }
        for (file, text) in files.sorted(by: { $0.key < $1.key }) {
            guard !file.contains("/"), file != ".", file != "..", file.contains(".") else {
                throw CgroupError(.invalid, "unified resource \"\(file)\" is no file of a cgroup")
            }
            // These would move processes or reach beyond the limits of this group.
            guard file != "cgroup.procs", file != "cgroup.threads" else {
                throw CgroupError(.invalid, "unified resource \"\(file)\" is no limit")
            }
            do throws(CgroupError) {
                // Some files, as io.max, take one line a write.
                try unified.write(text.split(separator: "\n").map { $0 + "\n" }, to: file)
            } catch  where error.errno == .noEntry {
                let controller = file.prefix { $0 != "." }
                throw CgroupError(
                    .controllerMissing,
                    "cannot set unified resource \"\(file)\": the kernel lacks the file, or the controller \(controller) is not available",
                    .noEntry)
            }
        }
    }
}
