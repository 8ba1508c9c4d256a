/// The keys that leave an attached terminal, in Docker's grammar: keys between
/// commas, each one character or `ctrl-` and one of `a` to `z`, `@ [ \ ] ^ _`; `DEL` too.
public struct DetachKeys: Equatable, Sendable {
    /// What a terminal sends for them; empty is no way to detach.
    public let bytes: [UInt8]

    /// `ctrl-p,ctrl-q`
    public static let standard = DetachKeys(bytes: [0x10, 0x11])

    public init(bytes: [UInt8]) { self.bytes = bytes }

    /// - Throws: `invalidDocument` with the key that is none.
    public init(parsing text: String) throws(MonitorError) {
        var bytes: [UInt8] = []
        if !text.isEmpty {
            for key in text.split(separator: ",", omittingEmptySubsequences: false) {
                guard let byte = Self.byte(of: key) else {
                    throw MonitorError(.invalidDocument, "unknown detach key '\(key)'")
                }
                bytes.append(byte)
            }
        }
        self.bytes = bytes
    }

    private static func byte(of key: Substring) -> UInt8? {
        let text = Array(key.utf8)
        if text.count == 1 { return text[0] < 0x80 ? text[0] : nil }
        if key.uppercased() == "DEL" { return 0x7F }
        guard text.count == 6, key.lowercased().hasPrefix("ctrl-") else { return nil }
        switch text[5] {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): return text[5] - 0x60
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "@"), UInt8(ascii: "[")...UInt8(ascii: "_"):
            return text[5] - 0x40
        default: return nil
        }
    }
}

/// Looks for the detach keys in what is typed. A beginning of them is held
/// back until the next key tells.
struct DetachKeyMatcher {
    private let keys: [UInt8]
    private var matched = 0

    init(_ keys: DetachKeys) { self.keys = keys.bytes }

    /// - Returns: what goes on to the container, and whether the keys were typed.
    mutating func filter(_ input: UnsafeRawBufferPointer) -> (output: [UInt8], detaches: Bool) {
        var output: [UInt8] = []
        output.reserveCapacity(input.count)
        for byte in input {
            if keys.isEmpty {
                output.append(byte)
                continue
            }
            // What was held back and cannot begin the keys any more goes on; its
            // tail may begin them anew (`ctrl-p ctrl-p ctrl-q`).
            while matched > 0, byte != keys[matched] {
                let held = Array(keys[..<matched])
                matched = (0..<matched).reversed().first { held.suffix($0).elementsEqual(keys[..<$0]) } ?? 0
                output += held.dropLast(matched)
            }
            if byte == keys[matched] {
                matched += 1
                if matched == keys.count { return (output, true) }
            } else {
                output.append(byte)
            }
        }
        return (output, false)
    }
}
