import LinuxSystem

/// An entry's name as a place below the root: no leading slash, no empty
/// component, no `.` and no `..`; the root itself is empty.
struct EntryPath: Hashable, CustomStringConvertible {
    /// The components with a slash between them, and a NUL at the end.
    private(set) var characters: [CChar]
    /// Where the last component starts.
    private(set) var baseStart: Int

    static let root = EntryPath(characters: [0], baseStart: 0)
    private static let slash = CChar(bitPattern: UInt8(ascii: "/"))
    private static let dot = CChar(bitPattern: UInt8(ascii: "."))

    private init(characters: [CChar], baseStart: Int) {
        self.characters = characters
        self.baseStart = baseStart
    }

    /// - Throws: `unsafeEntry` for a name with a `..` component. An absolute
    ///   name is taken from the root, as docker and tar(1) do.
    init(_ name: [UInt8], in entry: TarEntry) throws(ArchiveError) {
        var characters: [CChar] = []
        characters.reserveCapacity(name.count + 1)
        var baseStart = 0
        for component in name.split(separator: UInt8(ascii: "/")) {
            if component.first == UInt8(ascii: ".") {
                if component.count == 1 { continue }
                if component.count == 2, component.last == UInt8(ascii: ".") {
                    throw ArchiveError(.unsafeEntry, "name with a \"..\" component", on: entry.text)
                }
            }
            if !characters.isEmpty { characters.append(Self.slash) }
            baseStart = characters.count
            for byte in component { characters.append(CChar(bitPattern: byte)) }
        }
        characters.append(0)
        self.characters = characters
        self.baseStart = baseStart
    }

    var isRoot: Bool { characters.count == 1 }

    /// The path as openat2(2) takes it: the root is `.`.
    var openable: [CChar] { isRoot ? [Self.dot, 0] : characters }

    /// The path without its last component; the root's is the root.
    var parent: EntryPath {
        if baseStart == 0 { return .root }
        let start = characters[..<(baseStart - 1)].lastIndex(of: Self.slash).map { $0 + 1 } ?? 0
        return EntryPath(characters: characters[..<(baseStart - 1)] + [0], baseStart: start)
    }

    /// The last component, with its NUL.
    var base: [CChar] { Array(characters[baseStart...]) }

    /// The same place with another last component.
    func replacingBase(_ base: ArraySlice<CChar>) -> EntryPath {
        EntryPath(characters: Array(characters[..<baseStart]) + base, baseStart: baseStart)
    }

    func child(_ name: [CChar]) -> EntryPath {
        if isRoot { return EntryPath(characters: name, baseStart: 0) }
        return EntryPath(
            characters: characters.dropLast() + [Self.slash] + name, baseStart: characters.count)
    }

    /// Each component, with its NUL.
    var components: [[CChar]] {
        characters.dropLast().split(separator: Self.slash).map { Array($0) + [0] }
    }

    /// Calls with the last component as a C string.
    func withBase<Result>(_ body: (UnsafePointer<CChar>) throws -> Result) rethrows -> Result {
        try characters.withUnsafeBufferPointer { try body($0.baseAddress! + baseStart) }
    }

    /// Whether this path has the same parent as another.
    func isSibling(of other: EntryPath) -> Bool {
        baseStart == other.baseStart
            && characters.withUnsafeBytes { mine in
                other.characters.withUnsafeBytes {
                    memcmp(mine.baseAddress!, $0.baseAddress!, baseStart) == 0
                }
            }
    }

    var description: String {
        String(decoding: characters.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
