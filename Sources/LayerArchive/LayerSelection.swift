/// What of a tree goes into an archive.
struct LayerSelection {
    private enum What {
        case changes(Set<[UInt8]>, deleted: [[UInt8]: [[UInt8]]])
        case top([UInt8])
    }

    private static let slash = UInt8(ascii: "/")
    private let what: What

    init(_ changes: TreeChanges) {
        var included: Set<[UInt8]> = []
        var deleted: [[UInt8]: [[UInt8]]] = [:]
        for change in changes.list {
            guard change.kind == .deleted else {
                included.insert(change.path)
                continue
            }
            let start = change.path.lastIndex(of: Self.slash).map { $0 + 1 } ?? 0
            deleted[Array(change.path[..<start]), default: []].append(Array(change.path[start...]))
        }
        what = .changes(included, deleted: deleted)
    }

    /// One name in the root, with all that is in it.
    init(top: [UInt8]) { what = .top(top) }

    func contains(_ path: [UInt8]) -> Bool {
        switch what {
        case .changes(let included, _): included.contains(path)
        case .top(let name):
            path.starts(with: name) && (path.count == name.count || path[name.count] == Self.slash)
        }
    }

    /// - Parameter directory: its path with a slash at the end, or empty for the root.
    func deleted(in directory: [UInt8]) -> [[UInt8]] {
        guard case .changes(_, let deleted) = what else { return [] }
        return deleted[directory] ?? []
    }
}
