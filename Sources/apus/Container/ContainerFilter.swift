import ContainerEngine
import ContainerNetwork
import ContainerStorage
import LayerArchive
import LinuxSystem

/// One `--filter KEY=VALUE` of `ps`, with the meaning of `docker ps`.
struct ContainerFilter {
    enum Key: String, CaseIterable {
        case id, name, label, status, ancestor, exited, before, since, volume, network, publish, expose

        static let list = allCases.map(\.rawValue).joined(separator: ", ")

        var wantsAllStates: Bool { self == .status || self == .exited }
    }

    let key: Key
    private let matches: (ContainerSummary) -> Bool

    init(_ text: String, _ engine: Engine) throws {
        let pair = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard pair.count == 2 else {
            throw EngineError(.invalid, "invalid filter \"\(text)\": use KEY=VALUE")
        }
        guard let key = Key(rawValue: pair[0]) else {
            throw EngineError(.invalid, "invalid filter \"\(pair[0])\": use \(Key.list)")
        }
        self.key = key
        matches = try Self.test(key, pair[1], engine)
    }

    /// Values of one key are alternatives, but for labels; keys all have to match.
    static func match(_ summary: ContainerSummary, _ filters: [ContainerFilter]) -> Bool {
        Set(filters.map(\.key)).allSatisfy { key in
            let alternatives = filters.filter { $0.key == key }
            return key == .label
                ? alternatives.allSatisfy { $0.matches(summary) }
                : alternatives.contains { $0.matches(summary) }
        }
    }

    private static func test(_ key: Key, _ value: String, _ engine: Engine) throws
        -> (ContainerSummary) -> Bool
    {
        switch key {
        case .id: return { $0.record.id.hasPrefix(value) }
        case .name:
            let pattern = try NamePattern(value)
            return { pattern.matches($0.record.name) || pattern.matches("/" + $0.record.name) }
        case .label:
            let pair = value.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(
                String.init)
            return { summary in
                summary.labels[pair[0]].map { pair.count == 1 || $0 == pair[1] } ?? false
            }
        case .status:
            let status = try status(value)
            return { $0.state.status.rawValue == status }
        case .ancestor:
            let image = (try? engine.findImage(value))?.id.description
            return { $0.record.imageName == value || $0.record.imageID == image }
        case .exited:
            guard let code = Int32(value) else {
                throw EngineError(.invalid, "invalid filter \"exited=\(value)\": an exit code is a number")
            }
            return { $0.state.status == .exited && $0.state.exitCode == code }
        case .before:
            let other = try engine.find(value)
            return { $0.record.created < other.created }
        case .since:
            let other = try engine.find(value)
            return { $0.record.created > other.created }
        case .volume:
            return { $0.record.spec.mounts.contains { $0.source == value || $0.destination == value } }
        case .network: return { $0.record.spec.network.text == value }
        case .publish:
            let wanted = try ports(value)
            return { $0.record.spec.ports.contains { wanted.contains(text($0)) } }
        case .expose:
            let wanted = try ports(value)
            return { $0.exposedPorts.contains(where: wanted.contains) }
        }
    }

    /// The words of Docker and Podman; some of their states no container of ours is ever in.
    private static func status(_ text: String) throws -> String {
        switch text {
        case "created", "running", "restarting", "exited", "paused", "removing", "dead": return text
        case "stopped": return "exited"
        case "configured", "initialized": return "created"
        default:
            throw EngineError(
                .invalid,
                "invalid filter \"status=\(text)\": a status is created, running, restarting or exited")
        }
    }

    private static func text(_ port: PortMapping) -> String {
        "\(port.containerPort)/\(port.proto.rawValue)"
    }

    /// `80`, `80/udp`, `8000-8010/tcp`.
    private static func ports(_ text: String) throws -> Set<String> {
        guard let ports = try? PortMapping.parse(text), ports.allSatisfy({ $0.hostPort == nil }) else {
            throw EngineError(.invalid, "invalid filter: \"\(text)\" is no port: use PORT[-PORT][/PROTOCOL]")
        }
        return Set(ports.map(self.text))
    }
}

/// The regular expression of a `name` filter (regex(7)); it matches anywhere unless it is anchored.
private final class NamePattern {
    private var compiled = regex_t()

    init(_ text: String) throws {
        guard regcomp(&compiled, text, REG_EXTENDED | REG_NOSUB) == 0 else {
            throw EngineError(.invalid, "invalid filter \"name=\(text)\": not a regular expression")
        }
    }

    deinit { regfree(&compiled) }

    func matches(_ name: String) -> Bool { regexec(&compiled, name, 0, nil, 0) == 0 }
}
