internal import LayerArchive

/// Textual encodings (RFC 7468).
enum PEM {
    struct Block: Equatable {
        var label: String
        var bytes: [UInt8]
    }

    /// All blocks of a text, which may have explanations around them.
    /// - Returns: nil when one of them is broken.
    static func blocks(_ text: [UInt8]) -> [Block]? {
        var blocks: [Block] = []
        var label: String?
        var body: [UInt8] = []
        for line in text.split(separator: 0x0A, omittingEmptySubsequences: true) {
            var line = line
            while let last = line.last, last == 0x0D || last == 0x20 || last == 0x09 { line.removeLast() }
            if line.starts(with: "-----BEGIN ".utf8), line.suffix(5).elementsEqual("-----".utf8) {
                guard label == nil else { return nil }
                label = String(decoding: line.dropFirst(11).dropLast(5), as: UTF8.self)
                body = []
            } else if line.starts(with: "-----END ".utf8) {
                guard let begun = label,
                    line.elementsEqual("-----END \(begun)-----".utf8), let bytes = Base64.decode(body)
                else { return nil }
                blocks.append(Block(label: begun, bytes: bytes))
                label = nil
            } else if label != nil {
                body += line
            }
        }
        return label == nil ? blocks : nil
    }

    /// The block that a text holds and besides which it holds nothing.
    static func single(_ text: [UInt8]) -> Block? {
        guard text.starts(with: "-----BEGIN ".utf8), let blocks = blocks(text), blocks.count == 1,
            let end = text.lastIndex(where: { $0 != 0x0A && $0 != 0x0D && $0 != 0x20 }),
            text[...end].suffix(5).elementsEqual("-----".utf8)
        else { return nil }
        return blocks[0]
    }

    static func text(_ block: Block) -> String {
        var text = "-----BEGIN \(block.label)-----\n"
        var rest = Base64.encode(block.bytes)[...]
        while !rest.isEmpty {
            text += rest.prefix(64) + "\n"
            rest = rest.dropFirst(64)
        }
        return text + "-----END \(block.label)-----\n"
    }
}
