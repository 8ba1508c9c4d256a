public import JSONText

/// One `-v`, `--mount` or `--tmpfs`.
public struct MountRequest: JSONDocument, Equatable {
    public enum Kind: String, Sendable { case bind, volume, tmpfs }

    public var kind: Kind
    /// A host path, or a volume's name.
    public var source: String
    public var destination: String
    public var readOnly: Bool
    /// mount(8) options beyond `ro`: propagation, `exec`, `size=…`.
    public var options: [String]
    /// The volume has no name of the user's and goes with the container (`rm -v`).
    public var anonymous: Bool

    public init(
        _ kind: Kind, source: String = "", destination: String, readOnly: Bool = false,
        options: [String] = [], anonymous: Bool = false
    ) {
        self.kind = kind
        self.source = source
        self.destination = destination
        self.readOnly = readOnly
        self.options = options
        self.anonymous = anonymous
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        let kind = try reader.required("kind", as: String.self)
        guard let known = Kind(rawValue: kind) else { throw JSONError(path: "kind", "unknown \(kind)") }
        self.kind = known
        source = try reader.optional("source") ?? ""
        destination = try reader.required("destination")
        readOnly = try reader.optional("readOnly") ?? false
        options = try reader.optional("options") ?? []
        anonymous = try reader.optional("anonymous") ?? false
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("kind", kind.rawValue)
        object.set("source", source)
        object.set("destination", destination)
        object.set("readOnly", readOnly)
        object.set("options", nonEmpty: options)
        object.set("anonymous", anonymous)
        return .object(object)
    }
}

extension MountRequest {
    private static let bindOptions: Set<String> = [
        "rw", "ro", "z", "Z", "exec", "noexec", "suid", "nosuid", "dev", "nodev", "bind", "rbind",
        "private", "rprivate", "shared", "rshared", "slave", "rslave", "nocopy", "copy", "U",
    ]

    /// `-v [SOURCE:]DESTINATION[:OPTIONS]` as Docker and Podman read it.
    public init(volume text: String) throws(EngineError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let source: String
        let destination: String
        var options: [String] = []
        switch parts.count {
        case 1: (source, destination) = ("", parts[0])
        case 2
        where parts[1].split(separator: ",").allSatisfy({ Self.bindOptions.contains(String($0)) })
            && !parts[1].isEmpty && parts[0].hasPrefix("/") && !parts[1].hasPrefix("/"):
            (source, destination) = ("", parts[0])
            options = parts[1].split(separator: ",").map(String.init)
        case 2: (source, destination) = (parts[0], parts[1])
        case 3:
            (source, destination) = (parts[0], parts[1])
            options = parts[2].split(separator: ",").map(String.init)
        default:
            throw EngineError(.invalid, "invalid volume \"\(text)\": use [SOURCE:]DESTINATION[:OPTIONS]")
        }
        if parts.count > 1, source.isEmpty, options.isEmpty {
            throw EngineError(.invalid, "invalid volume \"\(text)\": the source is empty")
        }
        guard destination.hasPrefix("/") else {
            throw EngineError(
                .invalid,
                "invalid volume \"\(text)\": the destination \"\(destination)\" must be an absolute path")
        }
        guard !PathText.normalized(destination).elementsEqual("/") else {
            throw EngineError(.invalid, "invalid volume \"\(text)\": the destination can't be \"/\"")
        }
        if let unknown = options.first(where: { !Self.bindOptions.contains($0) }) {
            throw EngineError(.invalid, "invalid volume \"\(text)\": unknown option \"\(unknown)\"")
        }
        if options.contains("U") {
            throw EngineError(
                .invalid, "invalid volume \"\(text)\": the option \"U\" is not supported; chown the source")
        }
        let readOnly = options.contains("ro")
        options.removeAll { ["ro", "rw", "z", "Z", "copy", "bind"].contains($0) }
        if source.hasPrefix("/") || source.hasPrefix("./") || source.hasPrefix("../") || source == "."
            || source == ".."
        {
            self.init(
                .bind, source: try PathText.absolute(source), destination: PathText.normalized(destination),
                readOnly: readOnly, options: options)
        } else {
            if !source.isEmpty { try VolumeName.validate(source) }
            self.init(
                .volume, source: source, destination: PathText.normalized(destination), readOnly: readOnly,
                options: options, anonymous: source.isEmpty)
        }
    }

    /// `--tmpfs DESTINATION[:OPTIONS]`.
    public init(tmpfs text: String) throws(EngineError) {
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        guard let destination = parts.first, destination.hasPrefix("/") else {
            throw EngineError(.invalid, "invalid tmpfs \"\(text)\": the destination must be an absolute path")
        }
        self.init(
            .tmpfs, destination: PathText.normalized(destination),
            // Podman's word for what is the default here.
            options: parts.count > 1
                ? parts[1].split(separator: ",").map(String.init).filter { $0 != "notmpcopyup" } : [])
    }

    /// `--mount type=…,source=…,target=…[,readonly]…`.
    public init(mount text: String) throws(EngineError) {
        var kind = Kind.volume
        var source = ""
        var destination = ""
        var readOnly = false
        var options: [String] = []
        func truth(_ value: String?) -> Bool { value == nil || value == "true" || value == "1" }
        for field in text.split(separator: ",") {
            let pair = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(
                String.init)
            let value = pair.count > 1 ? pair[1] : nil
            switch pair[0] {
            case "type":
                guard let known = Kind(rawValue: value ?? "") else {
                    throw EngineError(
                        .invalid, "invalid mount \"\(text)\": the type must be bind, volume or tmpfs")
                }
                kind = known
            case "source", "src": source = value ?? ""
            case "target", "dst", "destination": destination = value ?? ""
            case "readonly", "ro": readOnly = truth(value)
            case "bind-propagation": options.append(value ?? "")
            case "bind-nonrecursive": if truth(value) { options.append("nonrecursive") }
            case "tmpfs-size": options.append("size=\(value ?? "")")
            case "tmpfs-mode": options.append("mode=\(value ?? "")")
            case "volume-nocopy": if truth(value) { options.append("nocopy") }
            default:
                throw EngineError(.invalid, "invalid mount \"\(text)\": unknown option \"\(pair[0])\"")
            }
        }
        guard destination.hasPrefix("/"), PathText.normalized(destination) != "/" else {
            throw EngineError(
                .invalid, "invalid mount \"\(text)\": target must be an absolute path below \"/\"")
        }
        if kind == .bind {
            guard !source.isEmpty else {
                throw EngineError(.invalid, "invalid mount \"\(text)\": a bind needs a source")
            }
            source = try PathText.absolute(source)
        } else if kind == .volume, !source.isEmpty {
            try VolumeName.validate(source)
        }
        self.init(
            kind, source: source, destination: PathText.normalized(destination), readOnly: readOnly,
            options: options, anonymous: kind == .volume && source.isEmpty)
    }
}

/// The grammar of volume and container names.
public enum VolumeName {
    public static func validate(_ name: String) throws(EngineError) {
        guard ObjectName.isValid(name) else {
            throw EngineError(
                .invalid,
                "invalid volume name \"\(name)\": only [a-zA-Z0-9][a-zA-Z0-9_.-]* is allowed; a host path must begin with / or ./"
            )
        }
    }
}

public enum ObjectName {
    /// Docker's `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, and no longer than a file name.
    public static func isValid(_ name: String) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= 200 else { return false }
        func plain(_ byte: UInt8) -> Bool {
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        }
        return plain(first)
            && name.utf8.allSatisfy {
                plain($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-")
            }
    }
}
