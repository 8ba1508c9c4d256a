import ContainerEngine
import ContainerStorage
import LayerArchive
import LinuxSystem
import OCISpec

/// One `--filter KEY=VALUE` of `images`.
struct ImageFilter {
    let matches: (ImageRecord) throws -> Bool

    init(_ text: String, _ engine: Engine) throws {
        let pair = text.split(separator: "=", maxSplits: 1).map(String.init)
        let value = pair.count == 2 ? pair[1] : ""
        func created(_ image: ImageRecord) -> Timestamp? { image.created.flatMap(Timestamp.init(parsing:)) }
        switch pair.first {
        case "dangling" where ["true", "1", "false", "0"].contains(value):
            matches = { $0.names.isEmpty == (value == "true" || value == "1") }
        case "id" where !value.isEmpty:
            matches = { $0.id.hex.hasPrefix(value) || $0.id.description.hasPrefix(value) }
        case "reference" where !value.isEmpty:
            matches = { image in
                image.names.contains { name in
                    guard let colon = name.lastIndex(of: ":"), !name[colon...].contains("/") else {
                        return false
                    }
                    return Self.matches(
                        value, repository: String(name[..<colon]),
                        tag: String(name[name.index(after: colon)...]))
                }
            }
        case "before" where !value.isEmpty, "since" where !value.isEmpty:
            let image = try engine.requireImage(value)
            guard let time = created(image) else {
                matches = { _ in false }
                return
            }
            let before = pair[0] == "before"
            matches = { other in
                guard other.id != image.id, let its = created(other) else { return false }
                return before ? its < time : time < its
            }
        case "until" where !value.isEmpty:
            let time = try LogTime.parse(value, flag: "filter until")
            matches = { created($0).map { $0 < time } ?? false }
        case "label" where !value.isEmpty:
            let label = value.split(separator: "=", maxSplits: 1).map(String.init)
            matches = { image in
                let found = try engine.imageConfig(image.id).config.labels[label[0]]
                return label.count == 1 ? found != nil : found == label[1]
            }
        default:
            throw EngineError(
                .invalid,
                "invalid filter \"\(text)\": use before=IMAGE, dangling=true|false, id=ID, label=KEY[=VALUE], "
                    + "reference=NAME, since=IMAGE or until=TIME")
        }
    }

    /// Whether a name as a person types it, with `*` for any text, means this one.
    static func matches(_ wanted: String, repository: String, tag: String) -> Bool {
        var wantedRepository = wanted
        var wantedTag: String?
        if let colon = wanted.lastIndex(of: ":"), !wanted[colon...].contains("/") {
            wantedRepository = String(wanted[..<colon])
            wantedTag = String(wanted[wanted.index(after: colon)...])
        }
        func glob(_ pattern: Substring, _ text: Substring) -> Bool {
            guard let first = pattern.first else { return text.isEmpty }
            if first == "*" {
                return glob(pattern.dropFirst(), text) || (!text.isEmpty && glob(pattern, text.dropFirst()))
            }
            return text.first == first && glob(pattern.dropFirst(), text.dropFirst())
        }
        if let wantedTag, !glob(wantedTag[...], tag[...]) { return false }
        var candidates = [repository]
        for prefix in ["docker.io/library/", "docker.io/", "localhost/"] where repository.hasPrefix(prefix) {
            candidates.append(String(repository.dropFirst(prefix.count)))
        }
        if let slash = repository.lastIndex(of: "/") {
            candidates.append(String(repository[repository.index(after: slash)...]))
        }
        return candidates.contains { glob(wantedRepository[...], $0[...]) }
    }
}
