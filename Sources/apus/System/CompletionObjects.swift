import CommandGrammar
import ContainerEngine
import ContainerStorage
import JSONText

/// The names that a shell offers after `apus stop ` and its like.
enum CompletionObjects {
    static func names(_ kind: String, _ values: Values) -> [String] {
        // A completion that fails offers nothing; it has nobody to complain to.
        guard let engine = try? GlobalFlags.engine(values) else { return [] }
        switch kind {
        case "containers": return ((try? engine.list(all: true)) ?? []).map(\.record.name)
        case "images": return ((try? engine.store.images()) ?? []).flatMap(\.names)
        case "artifacts": return ((try? engine.store.artifacts()) ?? []).map(\.name)
        case "volumes": return ((try? engine.volumes()) ?? []).compactMap { $0["Name"]?.string }
        default: return []
        }
    }
}
