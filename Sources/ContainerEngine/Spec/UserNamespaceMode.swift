public import OCISpec

/// `--userns`, in podman's words.
public enum UserNamespaceMode: Equatable, Sendable {
    /// The host's; with mappings one of the container's own.
    case standard
    /// One of its own, with IDs of the host that no other container has.
    case auto(AutomaticIDs)
    /// Another container's.
    case container(String)
    /// The one whose file this is.
    case path(String)

    public var text: String {
        switch self {
        case .standard: ""
        case .auto(let ids):
            (["auto"] + (ids.options.isEmpty ? [] : [ids.options.joined(separator: ",")])).joined(
                separator: ":")
        case .container(let name): "container:\(name)"
        case .path(let path): "ns:\(path)"
        }
    }

    public init(parsing text: String) throws(EngineError) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(
            String.init)
        let value = parts.count > 1 ? parts[1] : nil
        switch (parts[0], value) {
        case ("", nil), ("host", nil): self = .standard
        case ("auto", _): self = .auto(try AutomaticIDs(parsing: value ?? ""))
        case ("container", let name?) where !name.isEmpty: self = .container(name)
        case ("ns", let path?) where path.hasPrefix("/"): self = .path(path)
        case ("keep-id", _), ("nomap", _):
            throw EngineError(
                .invalid, "\(parts[0]) is only supported in rootless mode: use --userns auto, or --uidmap")
        case ("private", nil):
            throw EngineError(
                .invalid, "--userns private needs mappings: use --uidmap and --gidmap alone, or --userns auto"
            )
        default:
            throw EngineError(
                .invalid,
                "invalid --userns \"\(text)\": use host, auto[:OPTIONS], container:NAME or ns:/PATH")
        }
    }
}

/// What `--userns auto` was told.
public struct AutomaticIDs: Equatable, Sendable {
    /// How many; nil for what the image needs.
    public var size: UInt32?
    public var users: [IDMapping] = []
    public var groups: [IDMapping] = []

    init(parsing text: String) throws(EngineError) {
        for option in text.split(separator: ",") {
            let pair = option.split(separator: "=", maxSplits: 1).map(String.init)
            switch (pair[0], pair.count > 1 ? pair[1] : "") {
            case ("size", let value):
                guard let number = UInt32(value) else {
                    throw EngineError(
                        .invalid, "invalid --userns auto:\(option): the size is a number of IDs")
                }
                size = number == 0 ? nil : number
            case ("uidmapping", let value):
                users.append(try IDMapping(parsing: value, flag: "userns auto:uidmapping"))
            case ("gidmapping", let value):
                groups.append(try IDMapping(parsing: value, flag: "userns auto:gidmapping"))
            default:
                throw EngineError(
                    .invalid, "invalid --userns auto option \"\(option)\": use size, uidmapping or gidmapping"
                )
            }
        }
    }

    var options: [String] {
        func text(_ name: String) -> (IDMapping) -> String {
            { "\(name)=\($0.containerID):\($0.hostID):\($0.size)" }
        }
        return (size.map { ["size=\($0)"] } ?? []) + users.map(text("uidmapping"))
            + groups.map(text("gidmapping"))
    }
}
