import ContainerNetwork
import ContainerStorage
import LayerArchive
import OCISpec

/// One container as a listing shows it.
public struct ContainerSummary: Sendable {
    public var record: ContainerRecord
    public var state: ContainerState
    /// The command line of its process.
    public var command: String
    /// `443/tcp, 0.0.0.0:8080->80/tcp`: a port without an arrow is exposed only.
    public var ports: String
    /// The image's and the container's own.
    public var labels: [String: String]
    /// The published ones too, as `80/tcp`.
    public var exposedPorts: [String]
}

/// What a container's files take, in bytes.
public struct ContainerSize: Sendable {
    /// Those that it has made or changed.
    public var own: Int64
    /// With its image's.
    public var total: Int64

    public init(own: Int64, total: Int64) {
        self.own = own
        self.total = total
    }
}

extension Engine {
    public func size(of record: ContainerRecord) throws(EngineError) -> ContainerSize {
        try engineErrors("measure \(record.name)") {
            let own = try store.size(ofSnapshot: record.id)
            let image = try store.image(id: Digest(parsing: record.imageID))
            return ContainerSize(own: own, total: own + (image?.size ?? 0))
        }
    }

    /// The containers, the newest first.
    /// - Parameter all: those that do not run, too.
    public func list(all: Bool) throws(EngineError) -> [ContainerSummary] {
        // Many containers share few images.
        var defaults: [String: ContainerDefaults] = [:]
        var summaries: [ContainerSummary] = []
        for record in try records() {
            let state = try state(of: record)
            guard all || state.status == .running || state.status == .restarting else { continue }
            let image =
                defaults[record.imageID]
                ?? (try? imageConfig(Digest(parsing: record.imageID)))?.config ?? ContainerDefaults()
            defaults[record.imageID] = image
            let spec = record.spec
            let command =
                (spec.entrypoint ?? image.entrypoint)
                + (spec.command.isEmpty && spec.entrypoint == nil ? image.cmd : spec.command)
            let attachment = state.isRunning ? try? attachment(of: record.id) : nil
            let published = attachment?.ports ?? []
            let exposed = exposedPortNames(spec, image)
            let unpublished = exposed.filter { port in
                attachment != nil
                    && !published.contains { port == "\($0.containerPort)/\($0.proto.rawValue)" }
            }
            summaries.append(
                ContainerSummary(
                    record: record, state: state, command: command.joined(separator: " "),
                    ports: (unpublished + published.map(\.description)).joined(separator: ", "),
                    labels: image.labels.merging(spec.labels) { $1 },
                    exposedPorts: exposed))
        }
        return summaries
    }

    /// The ports that a container publishes, or its image or its user names, as `80/tcp`.
    func exposedPortNames(_ spec: ContainerSpec, _ image: ContainerDefaults) -> [String] {
        let named = (image.exposedPorts + spec.exposedPorts).flatMap { (try? PortMapping.parse($0)) ?? [] }
        var seen: Set<String> = []
        return (named + spec.ports).map { "\($0.containerPort)/\($0.proto.rawValue)" }.filter {
            seen.insert($0).inserted
        }
    }

    /// A container's published ports as `port` prints them.
    public func publishedPorts(of record: ContainerRecord) throws(EngineError) -> [(
        container: String, host: String
    )] {
        try (attachment(of: record.id)?.ports ?? []).map { port in
            (
                "\(port.containerPort)/\(port.proto.rawValue)",
                "\(port.hostIP ?? "0.0.0.0"):\(port.hostPort ?? 0)"
            )
        }
    }
}
