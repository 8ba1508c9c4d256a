/// A JSON value (RFC 8259) that keeps what it does not understand: the order
/// of an object's members and the text of a number survive a round trip.
///
/// The OCI documents, the monitor's records and the command line's `inspect`
/// output all travel as this type; the specification's types in OCISpec are
/// read from it and written to it. It uses no Foundation, so that the static
/// programs on the runtime floor can use it.
public enum JSON: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// A number that is no `Int64`: its exact text (`1.5`, `1e9`, `18446744073709551615`).
    case number(String)
    case string(String)
    case array([JSON])
    case object(JSONObject)

    public static var emptyObject: JSON { .object(JSONObject()) }
}

/// An object's members in the order in which they were written.
/// A name that stands twice keeps its last value, as Go's decoder has it.
public struct JSONObject: Sendable, Equatable, ExpressibleByDictionaryLiteral {
    public private(set) var members: [(name: String, value: JSON)] = []
    /// Built once an object is too large for a linear search.
    private var index: [String: Int]?
    private static let indexThreshold = 24

    public init() {}

    public init(dictionaryLiteral elements: (String, JSON)...) {
        for (name, value) in elements { self[name] = value }
    }

    public var count: Int { members.count }
    public var isEmpty: Bool { members.isEmpty }

    func position(of name: String) -> Int? {
        if let index { return index[name] }
        return members.firstIndex { $0.name == name }
    }

    public subscript(name: String) -> JSON? {
        get { position(of: name).map { members[$0].value } }
        set {
            guard let newValue else {
                remove(name)
                return
            }
            if let position = position(of: name) {
                members[position].value = newValue
                return
            }
            members.append((name, newValue))
            if index != nil {
                index?[name] = members.count - 1
            } else if members.count > Self.indexThreshold {
                rebuildIndex()
            }
        }
    }

    @discardableResult
    public mutating func remove(_ name: String) -> JSON? {
        guard let position = position(of: name) else { return nil }
        let value = members.remove(at: position).value
        if index != nil { rebuildIndex() }
        return value
    }

    private mutating func rebuildIndex() {
        index = Dictionary(
            members.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { _, last in last })
    }

    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        guard left.count == right.count else { return false }
        return left.members.allSatisfy { right[$0.name] == $0.value }
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral,
    ExpressibleByNilLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSON)...) {
        var object = JSONObject()
        for (name, value) in elements { object[name] = value }
        self = .object(object)
    }
    public init(nilLiteral: ()) { self = .null }
}

extension JSON {
    public subscript(name: String) -> JSON? {
        if case .object(let object) = self { object[name] } else { nil }
    }

    public var string: String? { if case .string(let value) = self { value } else { nil } }
    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    public var array: [JSON]? { if case .array(let value) = self { value } else { nil } }
    public var object: JSONObject? { if case .object(let value) = self { value } else { nil } }
    public var int: Int? {
        switch self {
        case .integer(let value): Int(exactly: value)
        case .number(let text): Int(text)
        default: nil
        }
    }
    public var unsigned: UInt64? {
        switch self {
        case .integer(let value): UInt64(exactly: value)
        case .number(let text): UInt64(text)
        default: nil
        }
    }
    public var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let text): Double(text)
        default: nil
        }
    }
    public var isNull: Bool { if case .null = self { true } else { false } }

    /// The value's kind in the words of an error message: "a string".
    public var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer, .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}
