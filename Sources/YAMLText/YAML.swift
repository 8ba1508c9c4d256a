internal import CYAML
public import JSONText

/// Why a text is no YAML that we read.
public struct YAMLError: Error, Equatable, Sendable, CustomStringConvertible {
    /// From 1; 0 when it is about the whole.
    public var line: Int
    public var message: String

    public var description: String { line > 0 ? "line \(line): \(message)" : message }
}

/// YAML 1.1 as libyaml reads it, as the JSON that means the same: the first document of a text, its
/// plain scalars by the core schema's rules (null, true, false, whole and decimal numbers).
public enum YAML {
    /// Aliases repeat what they name, so a short text can be a large value.
    private static let maximumNodes = 100_000
    private static let maximumDepth = 100

    public static func parse(_ bytes: [UInt8]) throws(YAMLError) -> JSON {
        var result: Result<JSON, YAMLError> = .success(.null)
        bytes.withUnsafeBufferPointer { buffer in
            let reader = Reader(buffer)
            do throws(YAMLError) { result = .success(try reader.document()) } catch {
                result = .failure(error)
            }
        }
        return try result.get()
    }

    private final class Reader {
        private let parser: UnsafeMutablePointer<yaml_parser_t>
        private var event = yaml_event_t()
        private var anchors: [String: (value: JSON, nodes: Int)] = [:]
        private var nodes = 0

        init(_ text: UnsafeBufferPointer<UInt8>) {
            parser = .allocate(capacity: 1)
            parser.initialize(to: yaml_parser_t())
            yaml_parser_initialize(parser)
            yaml_parser_set_input_string(parser, text.baseAddress, text.count)
        }

        deinit {
            yaml_event_delete(&event)
            yaml_parser_delete(parser)
            parser.deallocate()
        }

        private func wrong(_ message: String) -> YAMLError {
            YAMLError(line: Int(event.start_mark.line) + 1, message: message)
        }

        private func next() throws(YAMLError) {
            yaml_event_delete(&event)
            guard yaml_parser_parse(parser, &event) == 1 else {
                let reason = parser.pointee.problem.map { String(cString: $0) } ?? "unreadable"
                throw YAMLError(line: Int(parser.pointee.problem_mark.line) + 1, message: reason)
            }
        }

        func document() throws(YAMLError) -> JSON {
            try next()
            try next()
            guard event.type == YAML_DOCUMENT_START_EVENT else { return .null }
            try next()
            return try node(depth: 0)
        }

        /// The node at whose first event the parser stands.
        private func node(depth: Int) throws(YAMLError) -> JSON {
            guard depth <= YAML.maximumDepth else { throw wrong("nested deeper than \(YAML.maximumDepth)") }
            let start = nodes
            try count(1)
            let anchor: String?
            let value: JSON
            switch event.type {
            case YAML_ALIAS_EVENT:
                let name = text(event.data.alias.anchor)
                guard let known = anchors[name] else { throw wrong("*\(name) names no anchor") }
                try count(known.nodes)
                return known.value
            case YAML_SCALAR_EVENT:
                let scalar = event.data.scalar
                anchor = scalar.anchor.map { text($0) }
                let content = String(
                    decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
                let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE && scalar.tag == nil
                value = isPlain ? YAML.plain(content) : .string(content)
            case YAML_SEQUENCE_START_EVENT:
                anchor = event.data.sequence_start.anchor.map { text($0) }
                var elements: [JSON] = []
                try next()
                while event.type != YAML_SEQUENCE_END_EVENT {
                    elements.append(try node(depth: depth + 1))
                    try next()
                }
                value = .array(elements)
            case YAML_MAPPING_START_EVENT:
                anchor = event.data.mapping_start.anchor.map { text($0) }
                var object = JSONObject()
                try next()
                while event.type != YAML_MAPPING_END_EVENT {
                    let place = event.start_mark.line
                    guard event.type == YAML_SCALAR_EVENT else { throw wrong("a key that is no text") }
                    let scalar = event.data.scalar
                    let key = String(
                        decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length),
                        as: UTF8.self)
                    guard object[key] == nil else {
                        throw YAMLError(line: Int(place) + 1, message: "the key \(key) stands twice")
                    }
                    try next()
                    object[key] = try node(depth: depth + 1)
                    try next()
                }
                value = .object(object)
            default: throw wrong("a value is missing")
            }
            if let anchor { anchors[anchor] = (value, nodes - start) }
            return value
        }

        private func count(_ more: Int) throws(YAMLError) {
            nodes += more
            guard nodes <= YAML.maximumNodes else { throw wrong("more than \(YAML.maximumNodes) values") }
        }

        private func text(_ bytes: UnsafeMutablePointer<UInt8>?) -> String {
            bytes.map { String(cString: $0) } ?? ""
        }
    }

    private static func plain(_ text: String) -> JSON {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        default: break
        }
        let digits = text.utf8.first == UInt8(ascii: "-") ? text.dropFirst() : text[...]
        guard let first = digits.utf8.first, (0x30...0x39).contains(first),
            digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") })
        else { return .string(text) }
        // `1.2.3` and `010` are none, and `1.20` must stay as it was written: it may be a tag.
        if digits.hasPrefix("0"), digits.count > 1, !digits.hasPrefix("0.") { return .string(text) }
        if let number = Int64(text) { return .integer(number) }
        return Double(text) != nil && !digits.hasPrefix(".") && !digits.hasSuffix(".")
            ? .number(text) : .string(text)
    }
}
