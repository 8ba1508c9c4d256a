/// Why a template cannot be understood or carried out, and where in its text.
public struct TemplateError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Counted from 1.
    public var line: Int
    /// Counted from 1, in bytes.
    public var column: Int
    public var message: String

    /// `template: 1:5: function "foo" not defined`
    public var description: String { "template: \(line):\(column): \(message)" }

    init(_ message: String, at offset: Int, in text: [UInt8]) {
        let before = text.prefix(offset)
        line = 1 + before.count { $0 == 0x0A }
        column = 1 + before.count - ((before.lastIndex(of: 0x0A)).map { $0 + 1 } ?? 0)
        self.message = message
    }
}

/// A failure whose place the caller knows.
struct Fault: Error {
    var message: String
    var offset: Int
    init(_ message: String, at offset: Int = -1) {
        self.message = message
        self.offset = offset
    }
}
