import LinuxSystem

/// What an extended header says (pax(1), "pax Extended Header"), with GNU's,
/// star's and libarchive's keywords. Empty values leave the header's.
struct PaxRecords {
    var name: [UInt8]?
    var linkTarget: [UInt8]?
    var size: Int64?
    var user: Int64?
    var group: Int64?
    var modified: Timestamp?
    var accessed: Timestamp?
    var attributes: [ExtendedAttributes.Attribute] = []
    var sparse: PaxSparse?

    init() {}

    init(parsing bytes: [UInt8]) throws(ArchiveError) {
        self.init()
        try Self.walk(bytes) { key, value throws(ArchiveError) in try take(key, value) }
    }

    /// - Parameter body: gets each record's keyword and value.
    static func walk(
        _ bytes: [UInt8], _ body: (ArraySlice<UInt8>, ArraySlice<UInt8>) throws(ArchiveError) -> Void
    ) throws(ArchiveError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            // "%d %s=%s\n": the length counts itself and the newline.
            guard let space = rest.prefix(12).firstIndex(of: 0x20),
                let length = decimal(rest[..<space]),
                length > space - rest.startIndex + 2, length <= rest.count
            else {
                // Zeros at the end are padding that a writer counted in.
                if rest.allSatisfy({ $0 == 0 }) { return }
                throw malformed
            }
            let end = rest.startIndex + Int(length)
            let record = rest[(space + 1)..<(end - 1)]
            guard rest[end - 1] == 0x0A, let equals = record.firstIndex(of: UInt8(ascii: "=")),
                equals > record.startIndex
            else { throw malformed }
            try body(record[..<equals], record[(equals + 1)...])
            rest = rest[end...]
        }
    }

    private static let malformed = ArchiveError(.malformed, "invalid extended tar header")
    private static let attributePrefix = Array("SCHILY.xattr.".utf8)
    private static let libarchivePrefix = Array("LIBARCHIVE.xattr.".utf8)
    private static let sparsePrefix = Array("GNU.sparse.".utf8)

    private mutating func take(_ key: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) throws(ArchiveError) {
        if key.starts(with: Self.attributePrefix) {
            set(Self.unescape(key.dropFirst(Self.attributePrefix.count), all: false), Array(value))
            return
        }
        if value.isEmpty { return }
        if key.starts(with: Self.libarchivePrefix) {
            // The same attributes again, encoded: needed only where star's form is missing.
            let name = Self.unescape(key.dropFirst(Self.libarchivePrefix.count), all: true)
            if let decoded = Base64.decode(unpadded: value) { setIfMissing(name, decoded) }
            return
        }
        if key.starts(with: Self.sparsePrefix) {
            var map = sparse ?? PaxSparse()
            let text = String(decoding: key.dropFirst(Self.sparsePrefix.count), as: UTF8.self)
            if text == "name" {
                name = Array(value)
            } else {
                try map.take(text, value)
            }
            sparse = map
            return
        }
        switch String(decoding: key, as: UTF8.self) {
        // GNU.sparse.name is the real one, whichever comes first: then the path is a made-up one.
        case "path": if sparse == nil || name == nil { name = Array(value) }
        case "linkpath": linkTarget = Array(value)
        case "size": size = try Self.number(value)
        case "uid": user = try Self.number(value)
        case "gid": group = try Self.number(value)
        case "mtime": modified = try Self.time(value)
        case "atime": accessed = try Self.time(value)
        case "SCHILY.acl.access":
            if let acl = AccessControlText.attribute(value) { setIfMissing(AttributeName.accessACL, acl) }
        case "SCHILY.acl.default":
            if let acl = AccessControlText.attribute(value) { setIfMissing(AttributeName.defaultACL, acl) }
        default: break
        }
    }

    private mutating func set(_ name: [UInt8], _ value: [UInt8]) {
        if name.isEmpty || name.contains(0) { return }
        if let index = attributes.firstIndex(where: { $0.name == name }) {
            attributes[index].value = value
        } else {
            attributes.append(.init(name: name, value: value))
        }
    }

    private mutating func setIfMissing(_ name: [UInt8], _ value: [UInt8]) {
        if !attributes.contains(where: { $0.name == name }) { set(name, value) }
    }

    static func decimal(_ text: some Sequence<UInt8>) -> Int64? {
        var value: Int64 = 0
        var any = false
        for byte in text {
            guard byte >= 0x30, byte <= 0x39, value < 1 << 59 else { return nil }
            value = value * 10 + Int64(byte - 0x30)
            any = true
        }
        return any ? value : nil
    }

    static func number(_ text: ArraySlice<UInt8>) throws(ArchiveError) -> Int64 {
        guard let value = decimal(text) else { throw malformed }
        return value
    }

    /// `-12.34`: a sign, seconds, and a fraction of which nine digits count.
    static func time(_ text: ArraySlice<UInt8>) throws(ArchiveError) -> Timestamp {
        var text = text
        let negative = text.first == UInt8(ascii: "-")
        if negative { text.removeFirst() }
        let point = text.firstIndex(of: UInt8(ascii: ".")) ?? text.endIndex
        guard var seconds = decimal(text[..<point]) else { throw malformed }
        var nanoseconds: Int32 = 0
        let fraction = text[point...].dropFirst()
        guard fraction.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { throw malformed }
        for index in 0..<9 {
            let digit = fraction.dropFirst(index).first.map { Int32($0) - 0x30 } ?? 0
            nanoseconds = nanoseconds * 10 + digit
        }
        if negative {
            seconds = -seconds
            if nanoseconds > 0 {
                seconds -= 1
                nanoseconds = 1_000_000_000 - nanoseconds
            }
        }
        return Timestamp(seconds: seconds, nanoseconds: nanoseconds)
    }

    /// GNU tar writes `=` and `%` in an attribute's name as `%3D` and `%25`,
    /// and libarchive in its own records all that is unusual.
    private static func unescape(_ text: ArraySlice<UInt8>, all: Bool) -> [UInt8] {
        guard text.contains(UInt8(ascii: "%")) else { return Array(text) }
        var output: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16),
                all || value == UInt8(ascii: "=") || value == UInt8(ascii: "%")
            {
                output.append(value)
                rest.removeFirst(2)
            } else {
                output.append(byte)
            }
        }
        return output
    }
}
