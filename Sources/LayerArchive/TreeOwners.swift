public import LinuxSystem

/// How the owners of a tree's files on the disk stand for those that an image says.
///
/// A bundle for a user namespace has the image's user 0 as the host's user 100000. One for a user
/// who may give files to nobody has all as that user's, and an attribute of a file tells whose it
/// is in the image (rootlesscontainers.org, `user.rootlesscontainers`).
public struct TreeOwners: Sendable, Equatable {
    /// So many IDs, one after the other.
    public struct Range: Sendable, Equatable {
        public var image: UInt32
        public var disk: UInt32
        public var count: UInt32

        public init(image: UInt32, disk: UInt32, count: UInt32) {
            self.image = image
            self.disk = disk
            self.count = count
        }
    }

    /// Empty where IDs are the same.
    public var users: [Range] = []
    public var groups: [Range] = []
    /// All files belong to the image's user 0, and attributes tell whose they are.
    public var areNoted = false

    public static let same = TreeOwners()

    public init() {}

    public init(users: [Range], groups: [Range], areNoted: Bool) {
        self.users = users
        self.groups = groups
        self.areNoted = areNoted
    }

    static let note = Array("user.rootlesscontainers".utf8)
    private static let capability = Array("security.capability".utf8)

    // MARK: To the disk

    /// The owner on the disk for one of the image's.
    /// - Throws: EOVERFLOW, and `user 70` as its operation, when there is none.
    public func onDisk(_ user: UInt32, _ group: UInt32, _ path: String) throws(SystemError) -> (
        user: UInt32, group: UInt32
    ) {
        (
            try Self.onDisk(areNoted ? 0 : user, users, "user", path),
            try Self.onDisk(areNoted ? 0 : group, groups, "group", path)
        )
    }

    private static func onDisk(
        _ id: UInt32, _ ranges: [Range], _ kind: String, _ path: String
    ) throws(SystemError) -> UInt32 {
        if ranges.isEmpty { return id }
        guard let range = ranges.first(where: { id >= $0.image && id - $0.image < $0.count }) else {
            throw SystemError("\(kind) \(id)", path, Errno(EOVERFLOW))
        }
        return range.disk + (id - range.image)
    }

    /// An attribute as the file gets it; nil for one that it must not have.
    public func onDisk(_ attribute: ExtendedAttributes.Attribute) -> ExtendedAttributes.Attribute? {
        guard self != .same else { return attribute }
        if areNoted, attribute.name == Self.note { return nil }
        guard attribute.name == Self.capability, !users.isEmpty,
            let root = try? Self.onDisk(0, users, "user", ""), root != 0
        else { return attribute }
        return .init(name: attribute.name, value: Self.capabilities(attribute.value, of: root))
    }

    /// What tells whose a file is; nil for root's.
    public func noted(_ user: UInt32, _ group: UInt32) -> ExtendedAttributes.Attribute? {
        guard areNoted, user != 0 || group != 0 else { return nil }
        return .init(name: Self.note, value: OwnerNote(user: user, group: group).bytes)
    }

    // MARK: From the disk

    /// The image's owner of a file on the disk; nil for somebody that it does not know.
    /// - Parameter note: what an attribute of it tells.
    func inImage(_ user: UInt32, _ group: UInt32, note: [UInt8]?) -> (user: UInt32, group: UInt32)? {
        guard !areNoted else {
            let noted = note.flatMap(OwnerNote.init(bytes:)) ?? OwnerNote(user: 0, group: 0)
            return (noted.user, noted.group)
        }
        func find(_ id: UInt32, _ ranges: [Range]) -> UInt32? {
            if ranges.isEmpty { return id }
            return ranges.first { id >= $0.disk && id - $0.disk < $0.count }.map { $0.image + (id - $0.disk) }
        }
        guard let user = find(user, users), let group = find(group, groups) else { return nil }
        return (user, group)
    }

    /// An attribute as the image has it; nil for one that is not the image's.
    func inImage(_ attribute: ExtendedAttributes.Attribute) -> ExtendedAttributes.Attribute? {
        guard self != .same else { return attribute }
        if areNoted, attribute.name == Self.note { return nil }
        guard attribute.name == Self.capability, !users.isEmpty else { return attribute }
        return .init(name: attribute.name, value: Self.capabilities(attribute.value, of: nil))
    }

    /// The image's owner of an open directory or file on the disk.
    public func inImage(of file: Int32) throws(SystemError) -> (user: UInt32, group: UInt32)? {
        let status = try FD.stat(file)
        let note = areNoted ? try ExtendedAttributes.value(file, Self.note) : nil
        return inImage(status.st_uid, status.st_gid, note: note)
    }

    /// Whether a file of the tree belongs to whom one of the image's belongs.
    func isOwner(
        of name: [CChar], _ status: stat, _ directory: Int32, _ image: stat
    ) throws(SystemError) -> Bool {
        if areNoted {
            // Others have no such attributes, and nothing tells whose they are (xattr(7)).
            guard status.st_mode & S_IFMT == S_IFREG else { return true }
        }
        let note = areNoted ? try ExtendedAttributes.value(of: name, at: directory, Self.note) : nil
        guard let owner = inImage(status.st_uid, status.st_gid, note: note) else { return false }
        return owner == (image.st_uid, image.st_gid)
    }

    /// Whether a file stands for a device of the image's, which its maker could not make.
    func isPlaceholder(_ status: stat, for image: stat) -> Bool {
        areNoted && [S_IFCHR, S_IFBLK].contains(image.st_mode & S_IFMT)
            && status.st_mode == S_IFREG | image.st_mode & 0o7777 && status.st_size == 0
    }

    /// Capabilities of version 3, which hold in the user namespace whose root this is, or of version 2
    /// (capabilities(7)).
    private static func capabilities(_ value: [UInt8], of root: UInt32?) -> [UInt8] {
        guard value.count >= 20 else { return value }
        var bytes = Array(value.prefix(20))
        bytes[3] = root == nil ? 2 : 3
        return bytes + (root.map { withUnsafeBytes(of: $0.littleEndian) { Array($0) } } ?? [])
    }
}

/// The value of `user.rootlesscontainers`: a protocol buffer of two numbers, of which 2^32 - 1 says
/// nothing, and means root.
struct OwnerNote: Equatable {
    var user: UInt32
    var group: UInt32

    private static let none = UInt32.max

    init(user: UInt32, group: UInt32) {
        self.user = user
        self.group = group
    }

    init?(bytes: [UInt8]) {
        self.init(user: 0, group: 0)
        var rest = bytes[...]
        while let tag = rest.popFirst() {
            // Both are varints (protobuf.dev, "Encoding"); there is nothing else in the message.
            guard tag == 0x08 || tag == 0x10, let number = Self.number(&rest) else { return nil }
            let id = number == Self.none ? 0 : number
            if tag == 0x08 { user = id } else { group = id }
        }
    }

    var bytes: [UInt8] {
        [0x08] + Self.bytes(user == 0 ? Self.none : user) + [0x10]
            + Self.bytes(group == 0 ? Self.none : group)
    }

    private static func number(_ bytes: inout ArraySlice<UInt8>) -> UInt32? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 35, by: 7) {
            guard let byte = bytes.popFirst() else { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return UInt32(exactly: value) }
        }
        return nil
    }

    private static func bytes(_ number: UInt32) -> [UInt8] {
        var (rest, bytes) = (number, [UInt8]())
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }
}
