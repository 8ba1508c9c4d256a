import ContainerNetwork
import LayerArchive
import OCISpec

/// One container as a listing shows it.
public struct ContainerSummary: Sendable {
    public var record: ContainerRecord
    public var state: ContainerState
    /// The command line of its process.
    public var command: String
    /// `0.0.0.0:8080->80/tcp`, joined by commas.
    public var ports: String
    /// The image's and the container's own.
    public var labels: [String: String]
}

extension Engine {
    /// The containers, the newest first.
    /// - Parameter all: those that do not run, too.
    public func list(all: Bool) throws(EngineError) -> [ContainerSummary] {
        // Many containers share few images.
        var defaults: [String: (entrypoint: [String], cmd: [String], labels: [String: String])] = [:]
        var summaries: [ContainerSummary] = []
        for record in try records() {
            let state = try state(of: record)
            guard all || state.status == .running || state.status == .restarting else { continue }
            if defaults[record.imageID] == nil {
                let config = (try? imageConfig(Digest(parsing: record.imageID)))?.config
                defaults[record.imageID] = (
                    config?.entrypoint ?? [], config?.cmd ?? [], config?.labels ?? [:]
                )
            }
            let image = defaults[record.imageID]!
            let spec = record.spec
            let command =
                (spec.entrypoint ?? image.entrypoint)
                + (spec.command.isEmpty && spec.entrypoint == nil ? image.cmd : spec.command)
            let ports = state.isRunning ? ((try? attachment(of: record.id))?.ports ?? []) : []
            summaries.append(
                ContainerSummary(
                    record: record, state: state, command: command.joined(separator: " "),
                    ports: ports.map(\.description).joined(separator: ", "),
                    labels: image.labels.merging(spec.labels) { $1 }))
        }
        return summaries
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
