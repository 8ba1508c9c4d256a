public import LinuxSystem

/// One difference between two trees.
public struct TreeChange: Sendable, Equatable {
    public enum Kind: String, Sendable {
        case added = "A"
        case changed = "C"
        case deleted = "D"
    }

    public var kind: Kind
    /// Below the root, without a slash at either end.
    public var path: [UInt8]
    public var isDirectory: Bool

    public init(_ kind: Kind, _ path: [UInt8], isDirectory: Bool = false) {
        self.kind = kind
        self.path = path
        self.isDirectory = isDirectory
    }
}

/// What a tree has become since it was another: the files that are new, the
/// directories and files that are not as they were, with the directories above
/// them, and the files that are gone, of a gone directory its top only.
///
/// Both trees are walked by descriptors and their links are not followed. What
/// vanishes while it is looked at was never there.
public struct TreeChanges: Sendable {
    /// By path, in byte order.
    public private(set) var list: [TreeChange]
    /// The root itself has another owner, mode, time or attributes.
    public var root: Bool

    /// - Parameters:
    ///   - upper: what overlay keeps of the changes.
    ///   - base: the root of what lies below it, united.
    public init(
        overlayUpper upper: borrowing Descriptor, over base: borrowing Descriptor
    ) throws {
        self = try TreeComparison(tree: upper.raw, base: base.raw, isOverlay: true).run()
    }

    /// - Parameters:
    ///   - base: the root of the tree as it was.
    ///   - masked: paths below the root that are left out with all below them.
    ///   - owners: whose the tree's files are, in the words of the base.
    public init(
        of tree: borrowing Descriptor, since base: borrowing Descriptor, masked: Set<[UInt8]> = [],
        owners: TreeOwners = .same
    ) throws {
        let comparison = TreeComparison(tree: tree.raw, base: base.raw, isOverlay: false, masked: masked)
        comparison.owners = owners
        self = try comparison.run()
    }

    init(_ list: [TreeChange], root: Bool) {
        self.list = list
        self.root = root
    }

    public static var none: TreeChanges { TreeChanges([], root: false) }

    /// Whether two open directories have the same owner, mode, time and attributes.
    /// - Parameter owners: whose the first is.
    public static func sameMetadata(
        _ one: Int32, _ other: Int32, owners: TreeOwners = .same
    ) throws(SystemError) -> Bool {
        try TreeFile.sameMetadata(one, other, owners)
    }

    /// Leaves changes out.
    public mutating func remove(where condition: (TreeChange) -> Bool) { list.removeAll(where: condition) }
}
