public import JSONText
internal import LinuxSystem
public import OCISpec

/// The control group of a container: one directory in each hierarchy that is
/// mounted, with the same path in all of them.
///
/// cgroup v1, the hybrid layout and v2 differ below this type only. A container's
/// first process gets into its group like this, which the kernel does without
/// the grace period, some milliseconds, that moving another process costs:
///
///     let cgroup = try Cgroup.create(path: "/apus/web", resources: resources)
///     let entrance = try cgroup.openEntrance()
///     // clone3 with CLONE_INTO_CGROUP and cgroup.joinTarget, if that is not nil.
///     // In the child, before unshare(CLONE_NEWCGROUP):
///     let errno = entrance.enter(alreadyInUnified: true)
///
/// Another process is added with `add(pid:)`.
public final class Cgroup {
    public enum Layout: String, Sendable {
        /// Only v1.
        case legacy
        /// Controllers on v1, and a v2 hierarchy beside them.
        case hybrid
        /// Only v2.
        case unified
    }

    public let layout: Layout

    /// Whether this host has no v1 hierarchies.
    public static var isUnifiedOnly: Bool { (try? CgroupLayout.current().kind) == .unified }

    let directories: [CgroupDirectory]
    /// The unit whose group it is, when systemd manages it.
    let unit: SystemdUnit?
    /// Made by a runtime without root's rights over the hierarchies.
    let isRootless: Bool
    /// Where the recorded hierarchies are, also when a directory is gone.
    private let recorded: JSONObject

    init(
        layout: Layout, directories: [CgroupDirectory], recorded: JSONObject? = nil,
        unit: SystemdUnit? = nil, isRootless: Bool = false
    ) {
        self.isRootless = isRootless
        self.layout = layout
        self.directories = directories
        self.unit = unit
        if let recorded {
            self.recorded = recorded
        } else {
            var paths = JSONObject()
            for directory in directories { paths[directory.key] = .string(directory.path) }
            self.recorded = paths
        }
    }

    /// Makes the group and sets its limits.
    ///
    /// - Parameters:
    ///   - path: from the hierarchies' root when it starts with a slash; else below
    ///     this process's own group (v1) or beside it (v2, where a group with
    ///     processes has no groups below that limit anything). `..` stops at the root.
    ///   - resources: the device list is always applied: what it does not allow is
    ///     denied, but for the devices that every container has.
    /// - Throws: `.inUse` when the group exists and has processes; and nothing is
    ///   left of what was made.
    public static func create(path: String, resources: LinuxResources?) throws(CgroupError) -> Cgroup {
        let plan = try CgroupPlan(path)
        return try plan.complete(resources)
    }

    /// A group without limits, which may have processes and is made where it is
    /// missing, in the hierarchies by which systemd knows the processes of a
    /// unit: v2 and its own of v1.
    public static func shared(path: String) throws(CgroupError) -> Cgroup {
        let layout = try CgroupLayout.current()
        var directories: [CgroupDirectory] = []
        for mount in layout.mounts where mount.version == .v2 || mount.controllers == ["name=systemd"] {
            let directory = try CgroupDirectory.make(place(path, in: mount), in: mount)
            directory.isSetUp()
            directories.append(directory)
        }
        return Cgroup(layout: layout.kind, directories: directories)
    }

    static func place(_ path: String, in mount: CgroupMount) throws(CgroupError) -> CgroupPath {
        let clean = try CgroupPath(path)
        guard !clean.isRoot else {
            throw CgroupError(.invalid, "a container cannot have the root cgroup (path \"\(path)\")")
        }
        if path.hasPrefix("/") { return clean }
        var own = try CgroupPath(mount.own)
        // In a container the mount may begin at our own group, which then is the root here.
        if !File.exists("\(mount.point)/\(own.relative)") { own = try CgroupPath("/") }
        if mount.version == .v2 { own = try CgroupPath(own.absolute + "/..") }
        return try CgroupPath(own.absolute + "/" + clean.relative)
    }

    /// Changes limits of a group in use. What is nil stays as it is; the device
    /// list does when it is empty.
    public func apply(_ resources: LinuxResources) throws(CgroupError) {
        guard let unit else { return try set(resources, creating: false) }
        try set(try setProperties(of: unit, resources), creating: false)
    }

    // MARK: - State

    /// Each hierarchy's directory, by its controllers (`cpu,cpuacct`, `name=systemd`;
    /// v2 is the empty name).
    public var paths: [String: String] {
        var paths: [String: String] = [:]
        for (key, path) in recorded.members { paths[key] = path.string }
        return paths
    }

    /// Every hierarchy refused it.
    public var isRefused: Bool { recorded.members.isEmpty }

    public var json: JSON { Self.json(layout, recorded, unit, isRootless: isRootless) }

    static func json(
        _ layout: Layout, _ paths: JSONObject, _ unit: SystemdUnit?, isRootless: Bool
    ) -> JSON {
        var object: JSONObject = ["layout": .string(layout.rawValue), "paths": .object(paths)]
        if let unit { object["systemd"] = unit.json }
        if isRootless { object["rootless"] = true }
        return .object(object)
    }

    /// The group that `json` described. It may be gone meanwhile: then it has no
    /// processes, and deleting it is no error.
    ///
    /// - Parameter isForFreezing: opens only what tells `freezerState`.
    public static func load(_ json: JSON, isForFreezing: Bool = false) throws(CgroupError) -> Cgroup {
        guard let layout = json["layout"]?.string.flatMap(Layout.init), let paths = json["paths"]?.object
        else {
            throw CgroupError(.invalid, "the recorded cgroup is malformed")
        }
        var directories: [CgroupDirectory] = []
        for (key, value) in paths.members {
            let controllers = key.utf8.split(separator: UInt8(ascii: ",")).map { String(Substring($0)) }
            let freezes = layout == .unified ? controllers.isEmpty : controllers.contains("freezer")
            guard freezes || !isForFreezing else { continue }
            guard let path = value.string, path.utf8.first == UInt8(ascii: "/"), !path.climbs else {
                throw CgroupError(.invalid, "the recorded cgroup is malformed")
            }
            if let found = try CgroupDirectory.find(path, controllers.isEmpty ? .v2 : .v1, controllers) {
                directories.append(found)
            }
        }
        return Cgroup(
            layout: layout, directories: directories, recorded: paths,
            unit: json["systemd"].flatMap(SystemdUnit.init), isRootless: json["rootless"] == true)
    }

    /// Whether any of the group's directories is there.
    public var exists: Bool { directories.contains { File.exists($0.path) } }

    var unified: CgroupDirectory? { directories.first { $0.version == .v2 } }

    /// The directory in which a v1 controller works.
    func legacy(_ controller: String) -> CgroupDirectory? {
        directories.first { $0.version == .v1 && $0.controllers.contains(controller) }
    }
}
