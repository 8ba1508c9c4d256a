import LinuxSystem

/// What the table of contents has of a tar's header as it stands there, and `TarEntry` has not.
struct RawHeader {
    var mode: Int64 = 0
    var deviceMajor: Int64 = 0
    var deviceMinor: Int64 = 0
    var accessed: Timestamp?
    var changed: Timestamp?
    /// From `SCHILY.xattr.` records, undecoded.
    var attributes: [(name: [UInt8], value: [UInt8])] = []
    /// Only extensions that Go's archive/tar takes for a part of the entry.
    var isPlain = true

    /// - Parameter bytes: extended headers and the header.
    init(_ bytes: ArraySlice<UInt8>) throws {
        var rest = Array(bytes)
        while rest.count > TarHeader.blockSize {
            let (type, size) = try rest.withUnsafeBytes { block in
                let header = TarHeader(UnsafeRawBufferPointer(rebasing: block[..<TarHeader.blockSize]))
                return (header.type, try header.number(124, 12))
            }
            let kind = Unicode.Scalar(type)
            guard "xLK".unicodeScalars.contains(kind), size >= 0, size <= rest.count - TarHeader.blockSize
            else {
                isPlain = false
                return
            }
            let contents = Array(rest[TarHeader.blockSize..<TarHeader.blockSize + Int(size)])
            if kind == "x" { try take(contents) }
            rest.removeFirst(min(rest.count, TarHeader.blockSize + Int(TarReader.padded(size))))
        }
        guard rest.count == TarHeader.blockSize else {
            isPlain = false
            return
        }
        try rest.withUnsafeBytes { block in
            let header = TarHeader(block)
            mode = try header.number(100, 8)
            // '\0' and '0' to '6'.
            isPlain = isPlain && (header.type == 0 || (0x30...0x36).contains(header.type)) && mode >= 0
            guard header.format != .v7 else { return }
            deviceMajor = try header.number(329, 8)
            deviceMinor = try header.number(337, 8)
            switch header.format {
            case .gnu:
                if block[345] != 0 { accessed = Timestamp(seconds: try header.number(345, 12)) }
                if block[357] != 0 { changed = Timestamp(seconds: try header.number(357, 12)) }
            // Where its times are depends on who wrote it.
            case .star: isPlain = false
            default: break
            }
        }
    }

    private mutating func take(_ records: [UInt8]) throws(ArchiveError) {
        let prefix = Array("SCHILY.xattr.".utf8)
        try PaxRecords.walk(records) { key, value throws(ArchiveError) in
            if key.starts(with: prefix) {
                attributes.removeAll { $0.name.elementsEqual(key.dropFirst(prefix.count)) }
                attributes.append((Array(key.dropFirst(prefix.count)), Array(value)))
            } else if !value.isEmpty, key.elementsEqual("atime".utf8) {
                accessed = try PaxRecords.time(value)
            } else if !value.isEmpty, key.elementsEqual("ctime".utf8) {
                changed = try PaxRecords.time(value)
            }
        }
    }
}
