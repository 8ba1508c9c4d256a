import ContainerMonitor
import ContainerStorage
public import JSONText
import LinuxSystem

extension Engine {
    /// Makes a volume; it is no error when it is there.
    /// - Returns: its name.
    public func createVolume(_ name: String?, labels: [String: String] = [:]) throws(EngineError) -> String {
        let name = name ?? ContainerName.randomID()
        try VolumeName.validate(name)
        return try engineErrors("create volume \(name)") { try store.createVolume(name, labels: labels).name }
    }

    /// Makes the volume of a container's mount unless it is there. What ends
    /// with its container need not survive a power failure.
    func requireVolume(_ mount: MountRequest, of spec: ContainerSpec) throws(StorageError) {
        try store.createVolume(
            mount.source, anonymous: mount.anonymous, durable: !(mount.anonymous && spec.autoRemove))
    }

    public func volumes() throws(EngineError) -> [JSON] {
        try engineErrors { try store.volumes().map(document) }
    }

    public func inspectVolume(_ name: String) throws(EngineError) -> JSON {
        try document(volume(name))
    }

    private func volume(_ name: String) throws(EngineError) -> VolumeRecord {
        guard let volume = try engineErrors(nil, { try store.volume(name) }) else {
            throw EngineError(.notFound, "no volume with name \"\(name)\" found: no such volume")
        }
        return volume
    }

    private func document(_ volume: VolumeRecord) -> JSON {
        [
            "Name": .string(volume.name), "Driver": "local", "Mountpoint": .string(volume.path),
            "CreatedAt": .string(Timestamp(nanoseconds: volume.created).description),
            "Labels": volume.labels.json, "Scope": "local", "Options": [:],
        ]
    }

    /// For `removeVolume`: the container that uses a volume.
    static func user(ofVolume name: String) -> (Connection) throws(StorageError) -> String? {
        { connection throws(StorageError) in
            try connection.first(
                "SELECT container FROM container_volumes WHERE volume = ?", name,
                read: { String($0.text(0).prefix(12)) })
        }
    }

    public func removeVolume(_ name: String, force: Bool) throws(EngineError) {
        _ = try volume(name)
        while true {
            do throws(StorageError) {
                return try store.removeVolume(name, unlessUsed: Self.user(ofVolume: name))
            } catch  where error.code == .inUse && force {
                let user = try engineErrors {
                    try store.database.read { connection throws(StorageError) in
                        try Self.user(ofVolume: name)(connection)
                    }
                }
                if let user { try remove(find(user), force: true, volumes: false) }
            } catch  where error.code == .inUse {
                throw EngineError(.conflict, "volume \(name) is in use: \(error.reason)")
            } catch {
                throw EngineError(error)
            }
        }
    }

    /// Removes the volumes that no container uses.
    /// - Returns: their names.
    public func pruneVolumes() throws(EngineError) -> [String] {
        var removed: [String] = []
        for volume in try engineErrors(nil, { try store.volumes() }) {
            do throws(StorageError) {
                try store.removeVolume(volume.name, unlessUsed: Self.user(ofVolume: volume.name))
                removed.append(volume.name)
            } catch  where error.code == .inUse {
            } catch {
                throw EngineError(error)
            }
        }
        return removed
    }
}
