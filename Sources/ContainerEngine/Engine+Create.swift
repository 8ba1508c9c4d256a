import ContainerMonitor
import ContainerNetwork
public import ContainerStorage
import JSONText
public import LayerArchive
import LinuxSystem
public import OCISpec

extension Engine {
    /// Makes a container: its row, its snapshot of the image and its use of
    /// volumes, in one transaction. Files come with its start.
    /// - Parameter name: nil for one that we choose.
    public func create(
        _ spec: ContainerSpec, name: String?, image: ImageRecord
    ) throws(EngineError) -> ContainerRecord {
        sweep()
        let defaults = try imageConfig(image.id).config
        var spec = spec
        spec.imageID = image.id.description
        guard !RuntimeConfigBuilder.arguments(spec: spec, defaults: defaults).isEmpty else {
            throw EngineError(
                .invalid, "no command or entrypoint given, and the image \(spec.image) has none")
        }
        try validateModes(&spec)
        spec.mounts += imageVolumes(spec, defaults)
        if spec.publishAll { spec.ports += try exposedPorts(spec, defaults) }
        for index in spec.mounts.indices where spec.mounts[index].kind == .volume {
            if spec.mounts[index].source.isEmpty { spec.mounts[index].source = ContainerName.randomID() }
            try engineErrors { try requireVolume(spec.mounts[index], of: spec) }
        }
        return try insert(name: name, spec: spec, image: image)
    }

    /// The image's configuration document.
    public func imageConfig(_ id: Digest) throws(EngineError) -> ImageConfig {
        do {
            return try ImageConfig(json: JSON(parsing: store.readBlob(id, limit: 8 << 20)))
        } catch let error as StorageError where error.code == .notFound && (try? store.image(id: id)) == nil {
            throw EngineError(.notFound, "no such image: \(id): it was removed meanwhile")
        } catch {
            throw EngineError(error, while: "image \(id)")
        }
    }

    private func validateModes(_ spec: inout ContainerSpec) throws(EngineError) {
        if case .container(let name) = spec.network { spec.network = .container(try find(name).id) }
        if case .container(let name) = spec.pidMode { spec.pidMode = .container(try find(name).id) }
        if case .container(let name) = spec.ipcMode { spec.ipcMode = .container(try find(name).id) }
        if case .container(let name) = spec.utsMode { spec.utsMode = .container(try find(name).id) }
        try resolveUserMode(&spec)
        for mount in spec.mounts where mount.kind == .bind && !File.exists(mount.source) {
            throw EngineError(
                .notFound,
                "bind source path \(mount.source) does not exist: create it first, or name a volume")
        }
        for request in spec.devices { _ = try HostDevices.devices(request) }
        if let path = spec.seccompProfile, path.hasPrefix("/") {
            _ = try SeccompFile.read(path, capabilities: [])
        }
    }

    private func resolveUserMode(_ spec: inout ContainerSpec) throws(EngineError) {
        switch spec.userMode {
        case .standard, .auto: return
        case .container(let name):
            let other = try find(name)
            (spec.uidMappings, spec.gidMappings) = (other.spec.uidMappings, other.spec.gidMappings)
            // One without a user namespace of its own has the host's.
            spec.userMode = spec.uidMappings.isEmpty ? .standard : .container(other.id)
        case .path(let path):
            (spec.uidMappings, spec.gidMappings) = try UserNamespaces.mappings(ofPath: path)
        }
    }

    /// The image's `VOLUME`s that no mount of the user's covers.
    private func imageVolumes(_ spec: ContainerSpec, _ defaults: ContainerDefaults) -> [MountRequest] {
        let taken = Set(spec.mounts.map(\.destination))
        return defaults.volumes.map(PathText.normalized).filter { $0 != "/" && !taken.contains($0) }
            .map { MountRequest(.volume, destination: $0, anonymous: true) }
    }

    private func insert(
        name: String?, spec: ContainerSpec, image: ImageRecord
    ) throws(EngineError) -> ContainerRecord {
        var attempt = 0
        let automatic = try automaticIDs(spec, image)
        while true {
            var record = ContainerRecord(
                id: ContainerName.randomID(), name: name ?? ContainerName.random(attempt: attempt),
                imageID: image.id.description, imageName: spec.image, created: .now, spec: spec)
            do throws(StorageError) {
                try store.createSnapshot(
                    id: record.id, image: image, volatile: spec.autoRemove,
                    recording: { connection throws(StorageError) in
                        if let automatic { try automatic.choose(for: &record.spec, connection) }
                        try Self.insert(record, connection)
                    })
                return record
            } catch  where error.code == .exists {
                attempt += 1
                guard name != nil || attempt > 100 else { continue }
                throw EngineError(
                    .conflict,
                    "the container name \"\(record.name)\" is already in use by \(error.reason): remove that container, or choose another name"
                )
            } catch {
                let cause = error.cause as? EngineError
                throw cause ?? EngineError(error, while: "create container \(record.name)")
            }
        }
    }

    private func automaticIDs(
        _ spec: ContainerSpec, _ image: ImageRecord
    ) throws(EngineError) -> AutomaticChoice? {
        guard case .auto(let wish) = spec.userMode else { return nil }
        let available = try SubordinateIDs.ofContainers()
        if let size = wish.size { return AutomaticChoice(wish: wish, size: size, available: available) }
        let size = try idsNeeded(by: spec, imageConfig(image.id).config, image: image)
        return AutomaticChoice(wish: wish, size: size, available: available)
    }

    private static func insert(_ record: ContainerRecord, _ connection: Connection) throws(StorageError) {
        if let holder = try connection.first(
            "SELECT id FROM containers WHERE name = ?", record.name, read: { $0.text(0) })
        {
            throw StorageError(.exists, "create container", record.name, String(holder.prefix(12)))
        }
        try connection.execute(
            "INSERT INTO containers (id, name, image_id, image_name, created, spec) VALUES (?, ?, ?, ?, ?, ?)",
            record.id, record.name, record.imageID, record.imageName, record.created.inNanoseconds,
            record.spec.json.text())
        for mount in record.spec.mounts where mount.kind == .volume {
            try connection.execute(
                "INSERT INTO container_volumes (container, volume, destination, anonymous) VALUES (?, ?, ?, ?)",
                record.id, mount.source, mount.destination, mount.anonymous)
        }
    }

    /// `--publish-all`: what the image and `--expose` name, each on a free port of the host.
    private func exposedPorts(_ spec: ContainerSpec, _ defaults: ContainerDefaults) throws(EngineError)
        -> [PortMapping]
    {
        let published = Set(spec.ports.map { "\($0.containerPort)/\($0.proto.rawValue)" })
        var ports: [PortMapping] = []
        for text in defaults.exposedPorts + spec.exposedPorts {
            for port in try engineErrors(nil, { try PortMapping.parse(text) })
            where !published.contains("\(port.containerPort)/\(port.proto.rawValue)") && !ports.contains(port)
            {
                ports.append(port)
            }
        }
        return ports
    }
}
