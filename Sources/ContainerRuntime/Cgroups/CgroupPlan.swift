internal import JSONText
internal import LinuxSystem
internal import OCISpec

/// Where a group will be, before anything is made.
///
/// Making the v1 directories of a group is a good part of what starting a
/// container costs. A child can be cloned first and set up its file systems
/// meanwhile; only a v2 directory has to be there before, for CLONE_INTO_CGROUP.
///
///     let plan = try CgroupPlan(path)
///     try plan.makeTarget()
///     // clone3 with plan.joinTarget
///     let cgroup = try plan.complete(resources)
final class CgroupPlan {
    let layout: CgroupLayout
    /// The unit that systemd will make the group for, around the process that is in it.
    let unit: CgroupUnitPlan?
    private let places: [CgroupPath]
    private var directories: [CgroupDirectory?]
    /// The directories that `complete` has made.
    private var made: [String] = []
    private let refusals: CgroupRefusals
    /// The hierarchies that refused, by their position.
    private var refused: Set<Int> = []

    init(_ path: String, refusals: CgroupRefusals = .areErrors) throws(CgroupError) {
        self.refusals = refusals
        layout = try CgroupLayout.current()
        var places: [CgroupPath] = []
        for mount in layout.mounts { places.append(try Cgroup.place(path, in: mount)) }
        self.places = places
        directories = places.map { _ in nil }
        unit = nil
    }

    init(_ unit: CgroupUnitPlan) throws(CgroupError) {
        layout = try CgroupLayout.current()
        let place = try unit.place(in: layout)
        places = layout.mounts.map { _ in place }
        directories = places.map { _ in nil }
        refusals = .areErrors
        self.unit = unit
    }

    /// Whether the group is joined only when the process exists already: the kernel is spared the
    /// way through a v2 group's birth, or systemd wants a process to make a scope for.
    /// Without root's rights it can be moved only while it is its maker's.
    var isLate: Bool { unit != nil || layout.kind != .unified && !isRootless }

    /// Each hierarchy's key (see `Cgroup.paths`) and the group's directory in it.
    var paths: [(key: String, path: String)] {
        zip(layout.mounts, places).map { mount, place in (mount.key, "\(mount.point)/\(place.relative)") }
    }

    /// As `Cgroup` describes itself.
    var json: JSON {
        var recorded = JSONObject()
        for (key, path) in paths { recorded[key] = .string(path) }
        return Cgroup.json(layout.kind, recorded, unit?.unit, isRootless: isRootless)
    }

    private var isRootless: Bool { refusals != .areErrors || unit?.unit.isUser ?? false }

    /// Where the container's processes are in each hierarchy: in their group, or, where that is
    /// refused, where this process is.
    var members: [(key: String, path: String)] {
        paths.enumerated().map { position, place in
            guard refused.contains(position), layout.kind != .unified else { return place }
            let mount = layout.mounts[position]
            return (place.key, Rootfs.clean("\(mount.point)/\(mount.own)"))
        }
    }

    /// - Throws: `.inUse` when there are processes in the group already.
    func refuseOccupied() throws(CgroupError) {
        for (mount, path) in zip(layout.mounts, paths) {
            let found = try CgroupDirectory.find(path.path, mount.version, mount.controllers)
            if let found, try !found.pids().isEmpty {
                throw CgroupError(
                    .inUse, "container's cgroup is not empty: \(path.path) has processes already")
            }
        }
    }

    /// The v2 directory, once it is made, when it must be joined (see `Cgroup.joinTarget`).
    var joinTarget: Int32? {
        if isRootless, layout.kind == .hybrid { return nil }
        return directories.lazy.compactMap(\.self).first { $0.version == .v2 }?.raw
    }

    /// Makes the v2 directory, where there is such a hierarchy.
    func makeTarget() throws(CgroupError) {
        guard unit == nil else { return }
        for (position, mount) in layout.mounts.enumerated() where mount.version == .v2 {
            try make(position)
        }
    }

    /// Makes what is missing, and sets the limits. When that fails, nothing is left.
    /// - Parameter pid: the process that a unit is made around, which is in the group then.
    func complete(_ resources: LinuxResources?, pid: Int32? = nil) throws(CgroupError) -> Cgroup {
        do throws(CgroupError) {
            if let unit, let pid { return try start(unit, resources ?? LinuxResources(), pid) }
            for position in directories.indices
            where directories[position] == nil && !refused.contains(position) { try make(position) }
            let cgroup = Cgroup(
                layout: layout.kind, directories: directories.compactMap(\.self), isRootless: isRootless)
            try cgroup.set(resources ?? LinuxResources(), creating: true)
            made = directories.compactMap { $0.flatMap { $0.isNew ? $0.path : nil } }
            for case let directory? in directories { directory.isSetUp() }
            return cgroup
        } catch {
            abandon()
            throw error
        }
    }

    private func start(
        _ unit: CgroupUnitPlan, _ resources: LinuxResources, _ pid: Int32
    ) throws(CgroupError) -> Cgroup {
        let resources = try unit.start(resources, layout.kind, around: pid)
        var directories: [CgroupDirectory] = []
        for (mount, place) in zip(layout.mounts, places) {
            let directory = try CgroupDirectory.make(place, in: mount)
            directory.isSetUp()
            directories.append(directory)
            if layout.kind == .unified { try UnifiedControllers.enable(place, in: mount, directory) }
        }
        let cgroup = Cgroup(
            layout: layout.kind, directories: directories, unit: unit.unit, isRootless: isRootless)
        try cgroup.set(resources, creating: true)
        // systemd puts the process into the hierarchies that it uses itself.
        for directory in directories where directory.version == .v1 {
            try directory.write(String(pid), to: "cgroup.procs")
        }
        return cgroup
    }

    /// Removes what was made.
    func abandon() {
        if let unit {
            guard unit.hasStarted, let cgroup = try? Cgroup.load(json) else { return }
            try? cgroup.kill()
            try? cgroup.delete()
            return
        }
        for case let directory? in directories.reversed()
        where directory.isNew || made.contains(directory.path) {
            try? File.removeDirectory(directory.path)
        }
    }

    private func make(_ position: Int) throws(CgroupError) {
        do throws(CgroupError) {
            try makeDirectory(position)
        } catch  where refusals.allow(error, of: layout.mounts[position], in: layout.kind) {
            if let directory = directories[position], directory.isNew {
                try? File.removeDirectory(directory.path)
            }
            directories[position] = nil
            refused.insert(position)
        }
    }

    private func makeDirectory(_ position: Int) throws(CgroupError) {
        let mount = layout.mounts[position]
        let directory = try CgroupDirectory.make(places[position], in: mount)
        directories[position] = directory
        if !directory.isNew, try !directory.pids().isEmpty {
            throw CgroupError(
                .inUse, "container's cgroup is not empty: \(directory.path) has processes already")
        }
        // Who enters a frozen group waits there for ever.
        if !directory.isNew, try Cgroup.isFrozen(directory) {
            throw CgroupError(.inUse, "container's cgroup unexpectedly frozen: \(directory.path)")
        }
        if layout.kind == .unified { try UnifiedControllers.enable(places[position], in: mount, directory) }
    }
}
