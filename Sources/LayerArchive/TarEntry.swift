public import LinuxSystem

/// One entry of a tar archive: what its header blocks say, without contents.
public struct TarEntry: Sendable {
    public enum Kind: Sendable, Equatable {
        case regular, hardLink, symbolicLink, characterDevice, blockDevice, directory, fifo

        var hasContents: Bool { self == .regular }
    }

    /// A piece of a sparse file that is no hole.
    public struct Segment: Sendable, Equatable {
        public var offset: Int64
        public var length: Int64

        public init(offset: Int64, length: Int64) {
            self.offset = offset
            self.length = length
        }

        var end: Int64 { offset + length }
    }

    public var kind: Kind
    /// As it stands in the archive: it may be absolute, hold `..` or end with
    /// a slash, and need not be UTF-8.
    public var name: [UInt8]
    /// Of a symbolic link, any text; of a hard link, an entry's name.
    public var linkTarget: [UInt8] = []
    /// Permission, set-id and sticky bits.
    public var mode: UInt32 = 0o644
    public var user: UInt32 = 0
    public var group: UInt32 = 0
    /// Of a regular file, holes included.
    public var size: Int64 = 0
    public var modified = Timestamp(seconds: 0)
    /// Nil when the archive does not say.
    public var accessed: Timestamp?
    public var deviceMajor: UInt32 = 0
    public var deviceMinor: UInt32 = 0
    public var attributes: [ExtendedAttributes.Attribute] = []
    /// Nil for a file without holes; else its pieces in order, and the
    /// contents are these pieces one after another.
    public var segments: [Segment]?

    public init(_ kind: Kind, _ name: [UInt8]) {
        self.kind = kind
        self.name = name
    }

    public init(_ kind: Kind, _ name: String) {
        self.init(kind, Array(name.utf8))
    }

    /// The name for messages and comparisons, invalid UTF-8 repaired.
    public var text: String { String(decoding: name, as: UTF8.self) }

    /// How many bytes of contents follow the header, padding not counted.
    public var storedSize: Int64 {
        guard let segments else { return size }
        return segments.reduce(0) { $0 + $1.length }
    }
}
