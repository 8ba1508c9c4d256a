/// Writes a tar by hand (POSIX ustar, no checks), so that a test can put anything into it.
struct TarBuilder {
    private(set) var bytes: [UInt8] = []

    enum Kind: UInt8 {
        case file = 0x30
        case hardLink, symbolicLink, characterDevice, blockDevice, directory, fifo
    }

    @discardableResult
    mutating func add(
        _ name: String, _ kind: Kind = .file, _ content: String = "", link: String = "", mode: Int = 0o755,
        owner: (Int, Int) = (0, 0), device: (Int, Int) = (0, 0)
    ) -> Range<Int> {
        add(name, kind, bytes: Array(content.utf8), link: link, mode: mode, owner: owner, device: device)
    }

    /// - Returns: where the content is in the tar.
    @discardableResult
    mutating func add(
        _ name: String, _ kind: Kind = .file, bytes content: [UInt8], link: String = "", mode: Int = 0o755,
        owner: (Int, Int) = (0, 0), device: (Int, Int) = (0, 0), claimedSize: Int? = nil
    ) -> Range<Int> {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int) {
            for (index, byte) in text.utf8.enumerated() { header[offset + index] = byte }
        }
        func octal(_ value: Int, _ width: Int) -> String {
            let digits = String(value, radix: 8)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        put(String(name.prefix(100)), at: 0)
        put(octal(mode, 7), at: 100)
        put(octal(owner.0, 7), at: 108)
        put(octal(owner.1, 7), at: 116)
        put(octal(claimedSize ?? content.count, 11), at: 124)
        put(octal(1_700_000_000, 11), at: 136)
        put("        ", at: 148)
        header[156] = kind.rawValue
        put(String(link.prefix(100)), at: 157)
        put("ustar\u{0}00", at: 257)
        put(octal(device.0, 7), at: 329)
        put(octal(device.1, 7), at: 337)
        let sum = header.reduce(0) { $0 + Int($1) }
        put(octal(sum, 6) + "\u{0} ", at: 148)
        bytes += header
        let start = bytes.count
        bytes += content
        bytes += [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
        return start..<(start + content.count)
    }

    /// The whole archive.
    var archive: [UInt8] { bytes + [UInt8](repeating: 0, count: 1024) }
}
