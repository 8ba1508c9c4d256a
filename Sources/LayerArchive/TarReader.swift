import LinuxSystem

/// Reads a tar archive entry by entry: v7, ustar, PAX, GNU and star headers,
/// long names, sparse files, extended attributes.
///
///     let reader = TarReader(source)
///     while let entry = try reader.next() {
///         while let piece = try reader.nextPiece() { … }
///     }
///
/// What is read is not trusted: sizes are bounded, and a name is passed on as
/// it stands for the caller to judge.
public final class TarReader {
    /// One extended header or long name, as in Go's archive/tar.
    static let maximumHeaderSize: Int64 = 1 << 20
    static let maximumSegments = 1 << 20
    /// The kernel's PATH_MAX, its NUL not counted.
    static let maximumNameLength = 4095

    private let source: any ByteSource
    private let buffer = StreamBuffer(streamBufferSize)
    private var start = 0
    private var end = 0
    /// Contents of the current entry that were not handed out, and the padding after them.
    private var contentsLeft: Int64 = 0
    private var padding: Int64 = 0
    private var ended = false
    /// The bytes of archive that were consumed: after `next()`, where the entry's contents begin.
    public private(set) var position: Int64 = 0
    /// Whether headers and padding are kept as they stand, for `takeRaw`.
    var keepsRaw = false
    private var raw: [UInt8] = []
    private static let rawLimit = 32 << 20

    public init(_ source: any ByteSource) { self.source = source }

    // MARK: Entries

    /// The next entry, past what is left of the current one's contents.
    /// - Returns: Nil after the last.
    /// - Throws: `malformed`, `truncated`, `limitExceeded`, `unsupported`, and what the source throws.
    public func next() throws -> TarEntry? {
        if ended { return nil }
        try skip(contentsLeft)
        contentsLeft = 0
        // Some writers (umoci 0.4) end right after the last entry's contents.
        do {
            try skip(padding)
        } catch let error as ArchiveError where error.code == .truncated {
            ended = true
        }
        padding = 0
        if ended { return nil }

        var extended = PaxRecords()
        var longName: [UInt8]?
        var longLink: [UInt8]?
        var pending = false
        while true {
            guard let block = try header(afterExtension: pending) else {
                ended = true
                return nil
            }
            let header = TarHeader(block)
            switch header.type {
            case UInt8(ascii: "x"), UInt8(ascii: "X"):
                extended = try PaxRecords(parsing: try extensionContents(header))
            case UInt8(ascii: "g"):
                // Global records hold a comment in practice (git archive); image
                // tools ignore them, so that an entry means the same to all.
                _ = try extensionContents(header)
            case UInt8(ascii: "L"):
                longName = try extensionContents(header).prefix { $0 != 0 }.asArray
            case UInt8(ascii: "K"):
                longLink = try extensionContents(header).prefix { $0 != 0 }.asArray
            case UInt8(ascii: "V"):
                try skip(Self.padded(try size(header)))
            default:
                return try entry(header, extended, longName, longLink)
            }
            pending = header.type != UInt8(ascii: "g") && header.type != UInt8(ascii: "V")
        }
    }

    /// The next header block, or nil at the end of the archive.
    private func header(afterExtension pending: Bool) throws -> UnsafeRawBufferPointer? {
        guard let block = try take(TarHeader.blockSize, orEnd: !pending) else { return nil }
        if TarHeader.isZero(block) {
            if pending { throw malformed("an extended header without an entry") }
            // Two zero blocks end an archive; one before the end of the stream will do.
            guard let second = try take(TarHeader.blockSize, orEnd: true) else { return nil }
            guard TarHeader.isZero(second) else { throw malformed("data after a zero block") }
            return nil
        }
        guard TarHeader(block).checksumIsRight else {
            throw malformed(position == 512 ? "this is no tar archive" : "invalid tar header")
        }
        return block
    }

    private func entry(
        _ header: TarHeader, _ extended: PaxRecords, _ longName: [UInt8]?, _ longLink: [UInt8]?
    ) throws -> TarEntry {
        // All of the header must be read before anything moves the buffer.
        var entry = TarEntry(.regular, try Self.checked(extended.name ?? longName ?? header.name))
        var stored = try extended.size ?? size(header)
        let oldSparse = header.type == UInt8(ascii: "S")
        switch header.type {
        case UInt8(ascii: "0"), UInt8(ascii: "7"), UInt8(ascii: "S"): break
        case 0: if entry.name.last == UInt8(ascii: "/") { entry.kind = .directory }
        case UInt8(ascii: "1"): entry.kind = .hardLink
        case UInt8(ascii: "2"): entry.kind = .symbolicLink
        case UInt8(ascii: "3"): entry.kind = .characterDevice
        case UInt8(ascii: "4"): entry.kind = .blockDevice
        case UInt8(ascii: "5"), UInt8(ascii: "D"): entry.kind = .directory
        case UInt8(ascii: "6"): entry.kind = .fifo
        default:
            throw ArchiveError(
                .unsupported, "tar entry of unknown type \(header.type)", on: entry.text)
        }
        entry.mode = UInt32(truncatingIfNeeded: try header.number(100, 8)) & 0o7777
        entry.user = try identity(extended.user ?? header.number(108, 8), entry)
        entry.group = try identity(extended.group ?? header.number(116, 8), entry)
        entry.modified = try extended.modified ?? Timestamp(seconds: header.number(136, 12))
        entry.accessed = extended.accessed
        entry.attributes = extended.attributes
        switch entry.kind {
        case .hardLink, .symbolicLink:
            entry.linkTarget = try Self.checked(
                extended.linkTarget ?? longLink ?? Array(header.text(157, 100)))
        case .characterDevice, .blockDevice:
            entry.deviceMajor = try device(header.number(329, 8), entry)
            entry.deviceMinor = try device(header.number(337, 8), entry)
        default: break
        }
        // Some writers give a link or a directory the size of what it stands
        // for, without contents; only GNU's dump directories have them.
        if !entry.kind.hasContents, header.type != UInt8(ascii: "D") { stored = 0 }
        var realSize = stored
        var blocks: GNUSparseHeader?
        if oldSparse {
            blocks = try GNUSparseHeader(header)
            realSize = try header.number(483, 12)
        }
        contentsLeft = stored
        padding = Self.padded(stored) - stored

        if let blocks {
            entry.segments = try gnuSegments(blocks)
        } else if entry.kind == .regular, let sparse = extended.sparse {
            realSize = sparse.realSize ?? stored
            entry.segments = try sparse.mapIsInContents ? segmentsInContents() : sparse.segments
        }
        entry.size = entry.kind == .regular ? realSize : 0
        try checkSegments(of: entry)
        return entry
    }

    /// A name's bytes, if the kernel could take them.
    private static func checked(_ name: [UInt8]) throws(ArchiveError) -> [UInt8] {
        guard name.count <= maximumNameLength else {
            throw ArchiveError(
                .limitExceeded, "name of \(name.count) bytes",
                on: String(decoding: name.prefix(60), as: UTF8.self) + "…")
        }
        guard !name.contains(0) else {
            throw ArchiveError(.malformed, "name with a NUL in it", on: String(decoding: name, as: UTF8.self))
        }
        return name
    }

    private func identity(_ value: Int64, _ entry: TarEntry) throws -> UInt32 {
        // All ones mean "leave it" to chown(2).
        guard let id = UInt32(exactly: value), id != .max else {
            throw ArchiveError(.malformed, "owner \(value) out of range", on: entry.text)
        }
        return id
    }

    private func device(_ value: Int64, _ entry: TarEntry) throws -> UInt32 {
        guard let number = UInt32(exactly: value) else {
            throw ArchiveError(.malformed, "device number \(value) out of range", on: entry.text)
        }
        return number
    }

    private func size(_ header: TarHeader) throws -> Int64 {
        let size = try header.number(124, 12)
        guard size >= 0, size < 1 << 60 else { throw malformed("invalid size in a tar header") }
        return size
    }

    private func extensionContents(_ header: TarHeader) throws -> [UInt8] {
        let size = try size(header)
        guard size <= Self.maximumHeaderSize else {
            throw ArchiveError(.limitExceeded, "extended tar header of \(size) bytes")
        }
        var contents: [UInt8] = []
        contents.reserveCapacity(Int(size))
        while contents.count < size {
            let piece = try take(min(Int(size) - contents.count, streamBufferSize), orEnd: false)!
            contents.append(contentsOf: piece)
        }
        try skip(Self.padded(size) - size)
        return contents
    }

    // MARK: Contents

    /// The next piece of the current entry's contents; nil at their end.
    /// It lies in the reader's buffer and is valid until the next call.
    /// A small file comes in one piece.
    public func nextPiece() throws -> UnsafeRawBufferPointer? {
        if contentsLeft == 0 { return nil }
        if contentsLeft > end - start, end - start < streamBufferSize / 2 {
            // What does not fit is large: then any piece will do.
            if contentsLeft <= streamBufferSize / 2 {
                try fill(Int(contentsLeft))
            } else if start == end {
                try fill(1)
            }
        }
        let count = Int(min(contentsLeft, Int64(end - start)))
        let piece = UnsafeRawBufferPointer(rebasing: buffer.bytes[start..<start + count])
        start += count
        position += Int64(count)
        contentsLeft -= Int64(count)
        return piece
    }

    /// Reads the rest of the stream, after the end of the archive: writers pad
    /// to some block size, and a digest is of all bytes.
    public func drain() throws {
        start = 0
        end = 0
        try source.drain()
    }

    var remainingContents: Int64 { contentsLeft }

    func malformed(_ what: String) -> ArchiveError {
        ArchiveError(.malformed, "\(what), at byte \(max(position - 512, 0)) of the archive")
    }

    static func padded(_ size: Int64) -> Int64 { (size + 511) & ~511 }

    // MARK: The buffer

    /// Takes bytes of the current entry's contents that describe the entry.
    func takeContents(_ count: Int) throws -> UnsafeRawBufferPointer {
        guard contentsLeft >= count else { throw malformed("a sparse map that is cut short") }
        contentsLeft -= Int64(count)
        return try take(count, orEnd: false)!
    }

    /// Takes a whole block that is no part of the contents.
    func takeBlock() throws -> UnsafeRawBufferPointer { try take(TarHeader.blockSize, orEnd: false)! }

    /// Takes bytes in one piece.
    /// - Parameter orEnd: Nil when the stream has ended, at its very end.
    private func take(_ count: Int, orEnd: Bool) throws -> UnsafeRawBufferPointer? {
        if end - start < count {
            do {
                try fill(count)
            } catch let error as ArchiveError where error.code == .truncated && orEnd && start == end {
                return nil
            }
        }
        let bytes = UnsafeRawBufferPointer(rebasing: buffer.bytes[start..<start + count])
        try keep(bytes)
        start += count
        position += Int64(count)
        return bytes
    }

    private func keep(_ bytes: UnsafeRawBufferPointer) throws(ArchiveError) {
        guard keepsRaw else { return }
        guard raw.count + bytes.count <= Self.rawLimit else {
            throw ArchiveError(.limitExceeded, "more than \(Self.rawLimit) bytes of tar headers in a row")
        }
        raw.append(contentsOf: bytes)
    }

    /// What stood between the last contents that were read and here.
    func takeRaw() -> [UInt8] {
        defer { raw = [] }
        return raw
    }

    /// What follows the archive's end.
    func rest(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        while true {
            if end > start { try body(UnsafeRawBufferPointer(rebasing: buffer.bytes[start..<end])) }
            start = 0
            end = try source.read(into: buffer.bytes)
            if end == 0 { return }
        }
    }

    private func skip(_ count: Int64) throws {
        var left = count
        while left > 0 {
            if start == end, left > streamBufferSize, !keepsRaw, let seeking = source as? any SkippingSource {
                try seeking.skip(left)
                position += left
                return
            }
            if start == end { try fill(1) }
            let step = Int(min(left, Int64(end - start)))
            try keep(UnsafeRawBufferPointer(rebasing: buffer.bytes[start..<start + step]))
            start += step
            position += Int64(step)
            left -= Int64(step)
        }
    }

    /// Makes at least so many bytes available in one piece.
    private func fill(_ count: Int) throws {
        if start > 0 {
            let left = end - start
            if left > 0 {
                memmove(buffer.bytes.baseAddress!, buffer.bytes.baseAddress! + start, left)
            }
            start = 0
            end = left
        }
        while end < count {
            let read = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[end...]))
            if read == 0 { throw ArchiveError(.truncated, "the tar archive ends too early") }
            end += read
        }
    }
}

extension ArraySlice<UInt8> {
    fileprivate var asArray: [UInt8] { Array(self) }
}
