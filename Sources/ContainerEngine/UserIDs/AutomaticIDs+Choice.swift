import ContainerStorage
import OCISpec

/// The mappings of a user namespace that nobody else's overlap.
struct IDChoice {
    let users: [IDMapping]
    let groups: [IDMapping]

    /// - Parameters:
    ///   - size: how many IDs the container has, from 0.
    ///   - used: the host's IDs that other containers have.
    init(
        _ wish: AutomaticIDs, size: UInt32, from available: SubordinateIDs,
        used: (users: IDRanges, groups: IDRanges)
    ) throws(EngineError) {
        users = try Self.choose(wish.users, size, available.users, used.users, "user")
        groups = try Self.choose(wish.groups, size, available.groups, used.groups, "group")
    }

    private static func choose(
        _ fixed: [IDMapping], _ size: UInt32, _ available: IDRanges, _ used: IDRanges, _ kind: String
    ) throws(EngineError) -> [IDMapping] {
        let container = IDRanges([0..<UInt64(size)]).subtracting(fixed.containerIDs)
        let free = available.subtracting(used).subtracting(fixed.hostIDs)
        guard let chosen = free.first(container.count) else {
            throw EngineError(
                .failed,
                "--userns auto: \(free.count) \(kind) IDs of \(SubordinateIDs.owner) are free, and \(container.count) are wanted: remove containers, give size=, or add IDs to /etc/sub\(kind == "user" ? "u" : "g")id"
            )
        }
        let mappings = fixed + chosen.mappings(of: container)
        guard mappings.host(0) != nil else {
            throw EngineError(.invalid, "--userns auto: the container's \(kind) 0 has no ID")
        }
        return mappings.sorted { $0.containerID < $1.containerID }
    }
}

/// A choice that is made in the transaction which records the container: no
/// other container has these IDs, and they are free when its row is gone.
struct AutomaticChoice {
    var wish: AutomaticIDs
    var size: UInt32
    var available: SubordinateIDs

    func choose(for spec: inout ContainerSpec, _ connection: Connection) throws(StorageError) {
        let used = try Engine.usedIDs(connection)
        do throws(EngineError) {
            let choice = try IDChoice(wish, size: size, from: available, used: used)
            (spec.uidMappings, spec.gidMappings) = (choice.users, choice.groups)
        } catch {
            throw StorageError(.unsupported, "choose IDs for", spec.image, error.message, cause: error)
        }
    }
}

extension Engine {
    /// How many an image may ask for, as podman has it: one line of its passwd file would otherwise
    /// take those of all others.
    private static let imageIDs: ClosedRange<UInt32> = 1024...65536

    /// The highest ID that an image's users and groups have, and the container's, and one.
    func idsNeeded(
        by spec: ContainerSpec, _ defaults: ContainerDefaults, image: ImageRecord
    ) throws(EngineError) -> UInt32 {
        let root = try engineErrors { SharedDescriptor(try store.openView(image.diffIDs)) }
        let user = try ContainerUser.resolve(
            spec.user ?? defaults.user, groups: spec.additionalGroups, root: root.raw)
        let own = ([user.uid, user.gid] + user.additionalGids).max()! + 1
        guard own <= Self.imageIDs.upperBound else {
            throw EngineError(
                .invalid, "--userns auto: the user or a group of it has the ID \(own - 1): give size=\(own)")
        }
        let others = ContainerUser.allIDs(root: root.raw).filter { $0 < Self.imageIDs.upperBound }
        return max(Self.imageIDs.lowerBound, own, (others.max() ?? 0) + 1)
    }

    /// The host's IDs that containers have, of one transaction's view.
    static func usedIDs(_ connection: Connection) throws(StorageError) -> (users: IDRanges, groups: IDRanges)
    {
        func ranges(_ member: String) throws(StorageError) -> IDRanges {
            IDRanges(
                try connection.rows(
                    """
                    SELECT mapping.value ->> '$.hostID', mapping.value ->> '$.size'
                    FROM containers, json_each(containers.spec, '$.\(member)') AS mapping
                    """
                ) { row in
                    let first = UInt64(clamping: row.integer(0))
                    return first..<first + UInt64(clamping: row.integer(1))
                })
        }
        return (try ranges("uidMappings"), try ranges("gidMappings"))
    }
}
