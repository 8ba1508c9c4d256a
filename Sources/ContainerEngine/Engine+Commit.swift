public import ContainerImage
public import ContainerStorage
import LayerArchive
public import LinuxSystem
import OCISpec

/// What `commit` was asked for.
public struct CommitRequest: Sendable {
    public var name: String?
    public var author: String?
    public var message: String?
    public var changes: [ConfigChange] = []
    /// Stop a running container's processes meanwhile.
    public var pauses = true
    /// One layer with all files, in place of the image's and one more.
    public var squashes = false
    public var isDocker = false
    /// The container's volumes become the image's `VOLUME`s; their files stay out in any case.
    public var includesVolumes = false
    /// `SOURCE_DATE_EPOCH`: the time of the image, and the latest of any file in the layer.
    public var latest: Timestamp?

    public init() {}
}

extension Engine {
    /// Makes an image of a container's image, changes and configuration. The
    /// same files and the same `latest` give the same image, to the byte.
    public func commit(_ record: ContainerRecord, _ request: CommitRequest) throws(EngineError) -> ImageRecord
    {
        sweep()
        let image = try engineErrors {
            try store.image(id: Digest(parsing: record.imageID))
        }
        guard let image else {
            throw EngineError(.notFound, "the image of container \(record.name) is gone: \(record.imageID)")
        }
        let base = try imageConfig(image.id)
        var change = ImageChange(config: try committedConfig(record.spec, base.config, request))
        change.author = request.author
        let command = RuntimeConfigBuilder.arguments(spec: record.spec, defaults: base.config)
        change.history = HistoryEntry(
            createdBy: command.joined(separator: " "), author: request.author, comment: request.message)
        change.created = request.latest?.description
        change.isDocker = request.isDocker
        let transfer = ImageTransfer(store: store)
        let held = request.pauses ? try hold(record) : nil
        defer { held?.release() }
        return try withRootfs(of: record) { rootfs in
            let tar: WrittenSource
            let latest = request.latest
            if request.squashes {
                tar = try WrittenSource { sink in
                    // What is read needs to stand still no longer.
                    defer { held?.release() }
                    let root = try File.open(rootfs, O_RDONLY | O_DIRECTORY)
                    try LayerDiff.write(tree: root, to: sink, latest: latest)
                }
            } else {
                let found = SharedChanges(try snapshotChanges(of: record))
                tar = try WrittenSource { sink in
                    defer { held?.release() }
                    try LayerDiff.write(found.value.changes, of: found.value.tree, to: sink, latest: latest)
                }
            }
            return try transfer.commit(
                tar, over: request.squashes ? nil : image, platform: base.platform, change: change,
                name: request.name, source: "container \(record.name)")
        }
    }

    private final class SharedChanges: Sendable {
        let value: SnapshotChanges
        init(_ value: consuming SnapshotChanges) { self.value = value }
    }

    /// The image's configuration as the container's user changed it, then by the Dockerfile instructions.
    private func committedConfig(
        _ spec: ContainerSpec, _ defaults: ContainerDefaults, _ request: CommitRequest
    ) throws(EngineError) -> ContainerDefaults {
        var config = defaults
        if let user = spec.user { config.user = user }
        if let entrypoint = spec.entrypoint { config.entrypoint = entrypoint }
        if !spec.command.isEmpty || spec.entrypoint != nil { config.cmd = spec.command }
        for assignment in spec.environment {
            let name = assignment.prefix { $0 != "=" }
            config.env.removeAll { $0.prefix { $0 != "=" } == name }
            config.env.append(assignment)
        }
        config.env.removeAll { spec.unsetEnvironment.contains(String($0.prefix { $0 != "=" })) }
        if let directory = spec.workingDirectory { config.workingDir = directory }
        config.labels.merge(spec.labels) { $1 }
        let exposed = Set(config.exposedPorts).union(exposedPortNames(spec, defaults))
        config.exposedPorts = exposed.sorted()
        if let signal = spec.stopSignal { config.stopSignal = signal }
        if request.includesVolumes {
            let places = spec.mounts.filter { $0.kind == .volume }.map(\.destination)
            config.volumes = Set(config.volumes).union(places).sorted()
        }
        return try engineErrors {
            for change in request.changes { try change.apply(to: &config) }
            return config
        }
    }
}
