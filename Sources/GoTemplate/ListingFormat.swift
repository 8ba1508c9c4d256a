public import JSONText

/// How a list of objects is printed: a table, a template a row, or JSON.
///
///     let format = try ListingFormat(
///         values.string("format"), default: #"table {{.ID}}\t{{.Names}}"#,
///         headings: ["ID": "CONTAINER ID", "Names": "NAMES"])
///     print(try format.render(rows), terminator: "")
public struct ListingFormat: Sendable {
    private enum Kind: Sendable {
        case table(body: Template, head: Template)
        case lines(Template)
        case json
    }

    private let kind: Kind
    private let headings: JSON

    /// - Parameters:
    ///   - text: what the user gave: a template, `table TEMPLATE`, `table`, `json`, or nil.
    ///   - standard: the format for nil, an empty text and `table`.
    ///   - headings: the heading of each field that a table may show.
    ///   - methods: see `Template.methods`.
    public init(
        _ text: String?, default standard: String, headings: [String: String],
        methods: [String: Template.Function] = [:]
    ) throws(TemplateError) {
        var format = text ?? ""
        if format.isEmpty || format == "table" { format = standard }
        self.headings = headings.json
        if format == "json" {
            kind = .json
            return
        }
        let isTable = format.hasPrefix("table ") || format.hasPrefix("table{")
        if isTable { format = String(format.dropFirst(5).drop { $0 == " " }) }
        var body = try Template(Self.withControlCharacters(format))
        body.methods = methods
        body.missingField = .errorAtTop
        guard isTable else {
            kind = .lines(body)
            return
        }
        // A heading is what the template makes of the headings: functions leave them as they are.
        var head = body
        for name in Self.shapingFunctions { head.functions[name] = { arguments in Self.first(arguments) } }
        head.functions["join"] = { arguments in Self.first(arguments) }
        head.missingField = .noValue
        for name in methods.keys {
            head.methods[name] = { arguments in arguments.last.flatMap { $0 } }
        }
        kind = .table(body: body, head: head)
    }

    private static let shapingFunctions = [
        "json", "split", "title", "lower", "upper", "pad", "truncate", "trim", "index", "slice", "len",
    ]

    private static func first(_ arguments: [JSON?]) -> JSON? { arguments.first.flatMap { $0 } }

    /// A backslash with `t` or `n` between actions means the character, since a shell's single
    /// quotes hand over both; inside an action Go's own escapes hold.
    static func withControlCharacters(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var output: [UInt8] = []
        var isInAction = false
        var position = 0
        while position < bytes.count {
            let byte = bytes[position]
            let following = position + 1 < bytes.count ? bytes[position + 1] : 0
            if byte == following, byte == UInt8(ascii: isInAction ? "}" : "{") { isInAction.toggle() }
            if !isInAction, byte == UInt8(ascii: "\\"),
                following == UInt8(ascii: "t") || following == UInt8(ascii: "n")
            {
                output.append(following == UInt8(ascii: "t") ? 0x09 : 0x0A)
                position += 2
            } else {
                output.append(byte)
                position += 1
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// The whole output, its last line ended. A table is for a terminal; and what images and registries
    /// say makes no rows or columns of its own there.
    public func render(_ rows: [JSON], heading: Bool = true) throws(TemplateError) -> String {
        switch kind {
        case .json: return rows.map { $0.text() + "\n" }.joined()
        case .lines(let template):
            var text = ""
            for row in rows { text += try template.render(row) + "\n" }
            return text
        case .table(let body, let head):
            var table = Table()
            if heading { Self.append(try head.render(headings), to: &table) }
            for row in rows { Self.append(try body.render(row.printable), to: &table) }
            return table.text
        }
    }

    private static func append(_ text: String, to table: inout Table) {
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            table.append(line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init))
        }
    }

    /// Whether rows come out as JSON objects, one a line.
    public var isJSON: Bool { if case .json = kind { true } else { false } }
}
