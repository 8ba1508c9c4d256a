import LinuxSystem

/// Writes a tar archive: ustar headers, and PAX extended headers for what
/// these cannot say (long names, large numbers, fractions of a second,
/// extended attributes). The same entries give the same bytes.
///
///     let writer = TarWriter(sink)
///     try writer.add(entry, contents: bytes)
///     try writer.finish()
public final class TarWriter {
    private let sink: any ByteSink
    private let buffer = StreamBuffer(streamBufferSize)
    private var used = 0
    /// Contents of the current entry that are still to come, and the padding after them.
    private var contentsLeft: Int64 = 0
    private var padding = 0

    public init(_ sink: any ByteSink) { self.sink = sink }

    /// Writes an entry's header. A regular file's `size` bytes of contents
    /// must follow.
    public func begin(_ entry: TarEntry) throws {
        precondition(entry.segments == nil, "sparse entries are written whole")
        try checkComplete()
        var pax = PaxEncoder()
        let size = entry.kind.hasContents ? entry.size : 0
        var header = HeaderEncoder()

        if !header.set(name: entry.name) { pax.add("path", entry.name) }
        if entry.kind == .hardLink || entry.kind == .symbolicLink {
            if !header.set(text: entry.linkTarget, 157, 100) { pax.add("linkpath", entry.linkTarget) }
        }
        header.set(number: Int64(entry.mode & 0o7777), 100, 8)
        if !header.set(number: Int64(entry.user), 108, 8) { pax.add("uid", "\(entry.user)") }
        if !header.set(number: Int64(entry.group), 116, 8) { pax.add("gid", "\(entry.group)") }
        if !header.set(number: size, 124, 12) { pax.add("size", "\(size)") }
        let whole = header.set(number: entry.modified.seconds, 136, 12)
        if !whole || entry.modified.nanoseconds != 0 { pax.add("mtime", PaxEncoder.time(entry.modified)) }
        if let accessed = entry.accessed { pax.add("atime", PaxEncoder.time(accessed)) }
        if entry.kind == .characterDevice || entry.kind == .blockDevice {
            guard header.set(number: Int64(entry.deviceMajor), 329, 8),
                header.set(number: Int64(entry.deviceMinor), 337, 8)
            else { throw ArchiveError(.unsupported, "device number too large for tar", on: entry.text) }
        }
        for attribute in entry.attributes {
            pax.add(attribute: attribute.name, attribute.value)
            // GNU tar and bsdtar restore ACLs from star's text alone.
            if attribute.name == AttributeName.accessACL, let text = AccessControlText.text(attribute.value) {
                pax.add("SCHILY.acl.access", text)
            }
            if attribute.name == AttributeName.defaultACL, let text = AccessControlText.text(attribute.value)
            {
                pax.add("SCHILY.acl.default", text)
            }
        }

        if let records = pax.finish() {
            var extension_ = HeaderEncoder()
            // What an unpacker that knows no PAX would make a file of.
            _ = extension_.set(
                text: Array("PaxHeaders.0/".utf8) + lastComponent(entry.name).prefix(80), 0, 100)
            extension_.set(number: 0o644, 100, 8)
            extension_.set(number: Int64(records.count), 124, 12)
            try append(extension_.finish(type: UInt8(ascii: "x")))
            try append(records)
            try pad(Int(TarReader.padded(Int64(records.count))) - records.count)
        }
        try append(header.finish(type: Self.type(of: entry.kind)))
        contentsLeft = size
        padding = Int(TarReader.padded(size) - size)
        if size == 0 { padding = 0 }
    }

    /// The next of the current entry's contents.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        precondition(bytes.count <= contentsLeft, "more contents than the entry's size")
        contentsLeft -= Int64(bytes.count)
        try append(bytes)
        if contentsLeft == 0 { try endContents() }
    }

    public func add(_ entry: TarEntry, contents: [UInt8] = []) throws {
        var entry = entry
        entry.size = Int64(contents.count)
        try begin(entry)
        if !contents.isEmpty { try contents.withUnsafeBytes { try write($0) } }
    }

    /// Writes an entry with exactly `entry.size` bytes of a source.
    /// - Throws: `changed` when the source ends before.
    public func add(_ entry: TarEntry, contents source: any ByteSource) throws {
        try begin(entry)
        try fillContents(of: entry) { try source.read(into: $0) }
    }

    /// Reads the current entry's contents straight into the buffer.
    func fillContents(
        of entry: TarEntry, _ read: (UnsafeMutableRawBufferPointer) throws -> Int
    ) throws {
        if contentsLeft == 0 { return }
        while contentsLeft > 0 {
            if buffer.bytes.count - used < 32 << 10 { try flush() }
            let room = Int(min(contentsLeft, Int64(buffer.bytes.count - used)))
            let free = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[used..<used + room])
            let count = try read(free)
            if count == 0 {
                throw ArchiveError(.changed, "the file became shorter while it was read", on: entry.text)
            }
            used += count
            contentsLeft -= Int64(count)
        }
        try endContents()
    }

    /// Writes the end of the archive. Nothing may be added after it.
    public func finish() throws {
        try checkComplete()
        try pad(2 * TarHeader.blockSize)
        try flush()
    }

    private func checkComplete() throws {
        precondition(contentsLeft == 0, "an entry without all of its contents")
    }

    private func endContents() throws {
        try pad(padding)
        padding = 0
    }

    private static func type(of kind: TarEntry.Kind) -> UInt8 {
        switch kind {
        case .regular: UInt8(ascii: "0")
        case .hardLink: UInt8(ascii: "1")
        case .symbolicLink: UInt8(ascii: "2")
        case .characterDevice: UInt8(ascii: "3")
        case .blockDevice: UInt8(ascii: "4")
        case .directory: UInt8(ascii: "5")
        case .fifo: UInt8(ascii: "6")
        }
    }

    private func lastComponent(_ name: [UInt8]) -> ArraySlice<UInt8> {
        name.split(separator: UInt8(ascii: "/")).last ?? []
    }

    // MARK: The buffer

    private func append(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try append($0) }
    }

    private func append(_ bytes: UnsafeRawBufferPointer) throws {
        if bytes.count > buffer.bytes.count - used { try flush() }
        if bytes.count > buffer.bytes.count {
            try sink.write(bytes)
            return
        }
        UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[used...]).copyMemory(from: bytes)
        used += bytes.count
    }

    private func pad(_ count: Int) throws {
        if count == 0 { return }
        if count > buffer.bytes.count - used { try flush() }
        memset(buffer.bytes.baseAddress! + used, 0, count)
        used += count
    }

    private func flush() throws {
        if used == 0 { return }
        try sink.write(UnsafeRawBufferPointer(rebasing: buffer.bytes[..<used]))
        used = 0
    }
}

/// One ustar header block in the making.
private struct HeaderEncoder {
    var block = [UInt8](repeating: 0, count: TarHeader.blockSize)

    /// The name, divided into prefix and name where it is long.
    /// - Returns: Whether it fits; else its end stands there.
    mutating func set(name: [UInt8]) -> Bool {
        if set(text: name, 0, 100) { return true }
        let slash = UInt8(ascii: "/")
        // The name part may not be empty: a directory's final slash divides nothing.
        if name.count <= 256,
            let cut = name.indices.first(where: { $0 > 0 && name[$0] == slash && name.count - $0 - 1 <= 100 }
            ),
            cut <= 155, cut < name.count - 1
        {
            block.replaceSubrange(0..<100, with: repeatElement(0, count: 100))
            _ = set(text: Array(name[(cut + 1)...]), 0, 100)
            _ = set(text: Array(name[..<cut]), 345, 155)
            return true
        }
        return false
    }

    mutating func set(text: [UInt8], _ offset: Int, _ length: Int) -> Bool {
        for (index, byte) in text.prefix(length).enumerated() { block[offset + index] = byte }
        return text.count <= length
    }

    /// Octal digits and a NUL.
    /// - Returns: Whether the number fits; else zero stands there.
    @discardableResult
    mutating func set(number: Int64, _ offset: Int, _ length: Int) -> Bool {
        let digits = length - 1
        let fits = number >= 0 && number >> Int64(digits * 3) == 0
        var rest = fits ? number : 0
        for index in stride(from: digits - 1, through: 0, by: -1) {
            block[offset + index] = UInt8(0x30 + (rest & 7))
            rest >>= 3
        }
        return fits
    }

    consuming func finish(type: UInt8) -> [UInt8] {
        var block = block
        block[156] = type
        block.replaceSubrange(257..<265, with: Array("ustar\u{0}00".utf8))
        block.replaceSubrange(148..<156, with: repeatElement(0x20, count: 8))
        var sum = 0
        for byte in block { sum += Int(byte) }
        // Six digits, NUL, space.
        for index in stride(from: 5, through: 0, by: -1) {
            block[148 + index] = UInt8(0x30 + (sum & 7))
            sum >>= 3
        }
        block[154] = 0
        return block
    }
}

/// The records of an extended header in the making.
struct PaxEncoder {
    private var records: [(key: [UInt8], value: [UInt8])] = []

    mutating func add(_ key: String, _ value: String) { add(key, Array(value.utf8)) }
    mutating func add(_ key: String, _ value: [UInt8]) { records.append((Array(key.utf8), value)) }

    mutating func add(attribute name: [UInt8], _ value: [UInt8]) {
        var key = Array("SCHILY.xattr.".utf8)
        for byte in name {
            // As GNU tar writes and reads them.
            switch byte {
            case UInt8(ascii: "="): key += Array("%3D".utf8)
            case UInt8(ascii: "%"): key += Array("%25".utf8)
            default: key.append(byte)
            }
        }
        records.append((key, value))
    }

    static func time(_ time: Timestamp) -> String {
        var seconds = time.seconds
        var nanoseconds = time.nanoseconds
        var sign = ""
        if seconds < 0 {
            sign = "-"
            if nanoseconds > 0 {
                seconds += 1
                nanoseconds = 1_000_000_000 - nanoseconds
            }
            seconds = -seconds
        }
        if nanoseconds == 0 { return "\(sign)\(seconds)" }
        var digits = String(nanoseconds)
        digits = String(repeating: "0", count: 9 - digits.count) + digits
        while digits.last == "0" { digits.removeLast() }
        return "\(sign)\(seconds).\(digits)"
    }

    /// Nil when there is nothing to say.
    consuming func finish() -> [UInt8]? {
        if records.isEmpty { return nil }
        records.sort { $0.key.lexicographicallyPrecedes($1.key) }
        var output: [UInt8] = []
        for (key, value) in records {
            // The length counts its own digits.
            let rest = key.count + value.count + 3
            var length = rest + String(rest).utf8.count
            if String(length).utf8.count != String(rest).utf8.count {
                length = rest + String(length).utf8.count
            }
            output += Array("\(length) ".utf8)
            output += key
            output.append(UInt8(ascii: "="))
            output += value
            output.append(0x0A)
        }
        return output
    }
}
