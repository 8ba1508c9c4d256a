import ContainerStorage
public import JSONText
import LayerArchive
import LinuxSystem
public import OCISpec

/// Whose a bundle's files are: those whom a user namespace maps the image's users to.
public struct BundleOwners: JSONDocument, Equatable {
    /// Empty for no user namespace.
    public var users: [IDMapping] = []
    public var groups: [IDMapping] = []
    /// All files are the mapped root's, and attributes tell whose they are in the image.
    public var isRootless = false

    public init() {}

    /// - Parameter isRootless: without mappings, root is whoever calls.
    public init(users: [IDMapping], groups: [IDMapping], isRootless: Bool) {
        self.users = users
        self.groups = groups
        self.isRootless = isRootless
        guard isRootless else { return }
        if users.isEmpty { self.users = [IDMapping(containerID: 0, hostID: geteuid(), size: 1)] }
        if groups.isEmpty { self.groups = [IDMapping(containerID: 0, hostID: getegid(), size: 1)] }
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        users = try reader.optional("users") ?? []
        groups = try reader.optional("groups") ?? []
        isRootless = try reader.optional("rootless") ?? false
    }

    public var json: JSON {
        ["users": users.json, "groups": groups.json, "rootless": .bool(isRootless)]
    }

    var tree: TreeOwners {
        func ranges(_ mappings: [IDMapping]) -> [TreeOwners.Range] {
            mappings.map { TreeOwners.Range(image: $0.containerID, disk: $0.hostID, count: $0.size) }
        }
        return TreeOwners(users: ranges(users), groups: ranges(groups), areNoted: isRootless)
    }

    func check() throws(EngineError) {
        for (flag, mappings) in [("uid-map", users), ("gid-map", groups)] where !mappings.isEmpty {
            // What the kernel would refuse later (user_namespaces(7)), and what could not be undone.
            guard mappings.containerIDs.count == mappings.reduce(0, { $0 + UInt64($1.size) }),
                mappings.hostIDs.count == mappings.reduce(0, { $0 + UInt64($1.size) })
            else { throw EngineError(.invalid, "invalid --\(flag): its ranges overlap") }
            guard mappings.host(0) != nil else {
                throw EngineError(
                    .invalid, "invalid --\(flag): it has no ID for the image's 0, which a bundle needs")
            }
        }
    }

    func apply(to config: inout RuntimeConfig) {
        guard !users.isEmpty || !groups.isEmpty, var linux = config.linux else { return }
        linux.namespaces.removeAll { $0.type == .user }
        linux.namespaces.append(LinuxNamespace(.user))
        linux.uidMappings = users
        linux.gidMappings = groups
        config.linux = linux
        guard isRootless else { return }
        config.mounts.removeAll { $0.destination.hasPrefix("/sys/") }
        if File.exists("/etc/resolv.conf") {
            // The host's network comes with the host's names.
            config.mounts.append(
                MountSpec(
                    destination: "/etc/resolv.conf", type: "none", source: "/etc/resolv.conf",
                    options: ["rbind", "ro"]))
        }
    }
}
