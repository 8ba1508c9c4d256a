/// What the first bytes of a file tell of its type (mimesniff.spec.whatwg.org, section 7), in the
/// words that Go's net/http has for them.
enum ContentType {
    /// How much of a file is looked at.
    static let prefixLength = 512

    static func detect(_ bytes: [UInt8]) -> String {
        let text = bytes.drop { Self.blanks.contains($0) }
        if tags.contains(where: { isTag($0, at: text) }) { return "text/html; charset=utf-8" }
        if text.starts(with: Array("<?xml".utf8)) { return "text/xml; charset=utf-8" }
        if let found = signatures.first(where: { $0.matches(bytes) }) { return found.type }
        if isMP4(bytes) { return "video/mp4" }
        return bytes.contains(where: isBinary) ? "application/octet-stream" : "text/plain; charset=utf-8"
    }

    private static let blanks = Set(" \t\n\r\u{C}".utf8)

    private static func isBinary(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x00...0x08, 0x0B, 0x0E...0x1A, 0x1C...0x1F: true
        default: false
        }
    }

    // MARK: HTML

    private static let tags = [
        "<!DOCTYPE HTML", "<HTML", "<HEAD", "<SCRIPT", "<IFRAME", "<H1", "<DIV", "<FONT", "<TABLE", "<A",
        "<STYLE", "<TITLE", "<B", "<BODY", "<BR", "<P", "<!--",
    ].map { Array($0.utf8) }

    private static func isTag(_ tag: [UInt8], at text: ArraySlice<UInt8>) -> Bool {
        guard text.count > tag.count else { return false }
        for (expected, byte) in zip(tag, text) {
            let isLower = byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z")
            if (isLower ? byte & 0xDF : byte) != expected { return false }
        }
        let after = text[text.startIndex + tag.count]
        return after == UInt8(ascii: " ") || after == UInt8(ascii: ">")
    }

    // MARK: Signatures

    private struct Signature {
        let type: String
        /// nil for a byte that may be any.
        let pattern: [UInt8?]

        func matches(_ bytes: [UInt8]) -> Bool {
            bytes.count >= pattern.count && zip(pattern, bytes).allSatisfy { $0 == nil || $0 == $1 }
        }
    }

    /// - Parameter start: Latin-1, with `?` for a byte that may be any.
    private static func starts(_ type: String, _ starts: String...) -> [Signature] {
        starts.map { start in
            Signature(
                type: type, pattern: start.unicodeScalars.map { $0 == "?" ? nil : UInt8($0.value) })
        }
    }

    private static let signatures: [Signature] =
        starts("application/pdf", "%PDF-")
        + starts("application/postscript", "%!PS-Adobe-")
        + starts("text/plain; charset=utf-16be", "\u{FE}\u{FF}??")
        + starts("text/plain; charset=utf-16le", "\u{FF}\u{FE}??")
        + starts("text/plain; charset=utf-8", "\u{EF}\u{BB}\u{BF}?")
        + starts("image/x-icon", "\u{0}\u{0}\u{1}\u{0}", "\u{0}\u{0}\u{2}\u{0}")
        + starts("image/bmp", "BM")
        + starts("image/gif", "GIF87a", "GIF89a")
        + starts("image/webp", "RIFF????WEBPVP")
        + starts("image/png", "\u{89}PNG\u{D}\u{A}\u{1A}\u{A}")
        + starts("image/jpeg", "\u{FF}\u{D8}\u{FF}")
        + starts("audio/aiff", "FORM????AIFF")
        + starts("audio/mpeg", "ID3")
        + starts("application/ogg", "OggS\u{0}")
        + starts("audio/midi", "MThd\u{0}\u{0}\u{0}\u{6}")
        + starts("video/avi", "RIFF????AVI ")
        + starts("audio/wave", "RIFF????WAVE")
        + starts("video/webm", "\u{1A}E\u{DF}\u{A3}")
        + starts("application/vnd.ms-fontobject", String(repeating: "?", count: 34) + "LP")
        + starts("font/ttf", "\u{0}\u{1}\u{0}\u{0}")
        + starts("font/otf", "OTTO")
        + starts("font/collection", "ttcf")
        + starts("font/woff", "wOFF")
        + starts("font/woff2", "wOF2")
        + starts("application/x-gzip", "\u{1F}\u{8B}\u{8}")
        + starts("application/zip", "PK\u{3}\u{4}")
        + starts(
            "application/x-rar-compressed", "Rar!\u{1A}\u{7}\u{0}", "Rar!\u{1A}\u{7}\u{1}\u{0}")
        + starts("application/wasm", "\u{0}asm")

    // MARK: MP4

    /// A box of file types, one of which begins with `mp4` (section 6.2.1).
    private static func isMP4(_ bytes: [UInt8]) -> Bool {
        guard bytes.count >= 12 else { return false }
        let size = bytes[..<4].reduce(0) { $0 << 8 | Int($1) }
        guard size % 4 == 0, bytes.count >= size, bytes[4..<8].elementsEqual("ftyp".utf8) else {
            return false
        }
        // What stands at 12 is a version.
        return stride(from: 8, to: size, by: 4).contains { place in
            place != 12 && bytes[place..<place + 3].elementsEqual("mp4".utf8)
        }
    }
}
