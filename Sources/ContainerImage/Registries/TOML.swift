/// As much of TOML 1.0 as configuration files of containers use: everything
/// but dates and times, which are kept as text.
indirect enum TOML: Equatable {
    case string(String)
    case integer(Int64)
    case float(Double)
    case bool(Bool)
    case array([TOML])
    case table([String: TOML])

    var string: String? { if case .string(let value) = self { value } else { nil } }
    var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    var array: [TOML]? { if case .array(let value) = self { value } else { nil } }
    var table: [String: TOML]? { if case .table(let value) = self { value } else { nil } }

    subscript(name: String) -> TOML? { table?[name] }

    var kind: String {
        switch self {
        case .string: "a string"
        case .integer, .float: "a number"
        case .bool: "a boolean"
        case .array: "an array"
        case .table: "a table"
        }
    }

    init(parsing text: String) throws(TOMLError) {
        var parser = TOMLParser(text)
        self = .table(try parser.document())
    }
}

struct TOMLError: Error, Equatable, CustomStringConvertible {
    var line: Int
    var message: String
    var description: String { "line \(line): \(message)" }
}
