/// ACLs as star, GNU tar and libarchive write them into extended headers
/// (`SCHILY.acl.access`): `user::rwx,user:joe:r-x:1000,group::r-x,mask::r-x,other::---`.
enum AccessControlText {
    /// The value of `system.posix_acl_access` or `…_default` (the kernel's
    /// posix_acl_xattr.h): a version, then a tag, permissions and an id each.
    ///
    /// Nil for a text that is not understood, or that has a user or group by
    /// name only: names mean something else on every system.
    static func attribute(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var entries: [(tag: UInt16, permissions: UInt16, id: UInt32)] = []
        for part in text.split(whereSeparator: { $0 == UInt8(ascii: ",") || $0 == 0x0A }) {
            // A comment may follow: "user:joe:rwx #effective:r-x".
            let line = part.prefix { $0 != UInt8(ascii: "#") }.filter { $0 != 0x20 && $0 != 0x09 }
            if line.isEmpty { continue }
            let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            guard let kind = fields.first, fields.count >= 2 else { return nil }
            // "mask:rwx" and "other:rwx" are written as well.
            let short = fields.count == 2
            guard let permissions = permissions(fields[short ? 1 : 2]) else { return nil }
            let qualifier = short ? [] : fields[1]
            let tags: (own: UInt16, named: UInt16?)
            switch String(decoding: kind, as: UTF8.self) {
            case "user", "u": tags = (0x01, 0x02)
            case "group", "g": tags = (0x04, 0x08)
            case "mask", "m": tags = (0x10, nil)
            case "other", "o": tags = (0x20, nil)
            default: return nil
            }
            if qualifier.isEmpty {
                entries.append((tags.own, permissions, .max))
            } else {
                guard let tag = tags.named, let id = id(fields.count > 3 ? fields[3] : qualifier) else {
                    return nil
                }
                entries.append((tag, permissions, id))
            }
        }
        if entries.isEmpty { return nil }
        entries.sort { ($0.tag, $0.id) < ($1.tag, $1.id) }
        var value: [UInt8] = [2, 0, 0, 0]
        for entry in entries {
            withUnsafeBytes(of: entry.tag.littleEndian) { value += $0 }
            withUnsafeBytes(of: entry.permissions.littleEndian) { value += $0 }
            withUnsafeBytes(of: entry.id.littleEndian) { value += $0 }
        }
        return value
    }

    /// The text of an attribute's value, with numbers for names; nil for one of another form.
    static func text(_ attribute: [UInt8]) -> String? {
        guard attribute.count >= 12, attribute.count % 8 == 4, attribute[..<4] == [2, 0, 0, 0] else {
            return nil
        }
        var parts: [String] = []
        attribute.withUnsafeBytes { bytes in
            for start in stride(from: 4, to: bytes.count, by: 8) {
                let tag = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: start, as: UInt16.self))
                let bits = UInt16(
                    littleEndian: bytes.loadUnaligned(fromByteOffset: start + 2, as: UInt16.self))
                let id = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: start + 4, as: UInt32.self))
                let rights =
                    (bits & 4 != 0 ? "r" : "-") + (bits & 2 != 0 ? "w" : "-") + (bits & 1 != 0 ? "x" : "-")
                switch tag {
                case 0x01: parts.append("user::\(rights)")
                case 0x02: parts.append("user:\(id):\(rights)")
                case 0x04: parts.append("group::\(rights)")
                case 0x08: parts.append("group:\(id):\(rights)")
                case 0x10: parts.append("mask::\(rights)")
                case 0x20: parts.append("other::\(rights)")
                default: return
                }
            }
        }
        return parts.count == (attribute.count - 4) / 8 ? parts.joined(separator: ",") : nil
    }

    private static func id(_ text: ArraySlice<UInt8>) -> UInt32? {
        if text.elementsEqual("root".utf8) { return 0 }
        return PaxRecords.decimal(text).flatMap { UInt32(exactly: $0) }
    }

    private static func permissions(_ text: ArraySlice<UInt8>) -> UInt16? {
        var bits: UInt16 = 0
        for byte in text {
            switch byte {
            case UInt8(ascii: "r"): bits |= 4
            case UInt8(ascii: "w"): bits |= 2
            case UInt8(ascii: "x"): bits |= 1
            case UInt8(ascii: "-"): break
            default: return nil
            }
        }
        return bits
    }
}
