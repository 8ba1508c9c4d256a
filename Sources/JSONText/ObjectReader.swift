/// A document that is read from JSON and can be written back without loss.
public protocol JSONDocument: Sendable {
    init(json: JSON) throws(JSONError)
    var json: JSON { get }
}

extension String: JSONDocument {
    public init(json: JSON) throws(JSONError) {
        guard case .string(let value) = json else {
            throw JSONError("expected a string, found \(json.kind)")
        }
        self = value
    }
    public var json: JSON { .string(self) }
}

extension Bool: JSONDocument {
    public init(json: JSON) throws(JSONError) {
        guard case .bool(let value) = json else {
            throw JSONError("expected a boolean, found \(json.kind)")
        }
        self = value
    }
    public var json: JSON { .bool(self) }
}

extension FixedWidthInteger {
    fileprivate static func read(_ json: JSON) throws(JSONError) -> Self {
        switch json {
        case .integer(let value):
            guard let exact = Self(exactly: value) else {
                throw JSONError("\(value) is out of range (\(Self.min) to \(Self.max))")
            }
            return exact
        case .number(let text):
            guard let exact = Self(text) else {
                throw JSONError("\(text) is no whole number from \(Self.min) to \(Self.max)")
            }
            return exact
        default:
            throw JSONError("expected a number, found \(json.kind)")
        }
    }
    fileprivate var asJSON: JSON { Int64(exactly: self).map { .integer($0) } ?? .number(String(self)) }
}

extension Int: JSONDocument {
    public init(json: JSON) throws(JSONError) { self = try Self.read(json) }
    public var json: JSON { asJSON }
}
extension Int32: JSONDocument {
    public init(json: JSON) throws(JSONError) { self = try Self.read(json) }
    public var json: JSON { asJSON }
}
extension Int64: JSONDocument {
    public init(json: JSON) throws(JSONError) { self = try Self.read(json) }
    public var json: JSON { asJSON }
}
extension UInt16: JSONDocument {
    public init(json: JSON) throws(JSONError) { self = try Self.read(json) }
    public var json: JSON { asJSON }
}
extension UInt32: JSONDocument {
    public init(json: JSON) throws(JSONError) { self = try Self.read(json) }
    public var json: JSON { asJSON }
}
extension UInt64: JSONDocument {
    public init(json: JSON) throws(JSONError) { self = try Self.read(json) }
    public var json: JSON { asJSON }
}

extension Array: JSONDocument where Element: JSONDocument {
    @inlinable
    public init(json: JSON) throws(JSONError) {
        guard case .array(let elements) = json else {
            throw JSONError("expected an array, found \(json.kind)")
        }
        self = []
        reserveCapacity(elements.count)
        for (position, element) in elements.enumerated() {
            do throws(JSONError) {
                append(try Element(json: element))
            } catch {
                throw error.under("[\(position)]")
            }
        }
    }
    public var json: JSON { .array(map(\.json)) }
}

extension Dictionary: JSONDocument where Key == String, Value: JSONDocument {
    @inlinable
    public init(json: JSON) throws(JSONError) {
        guard case .object(let object) = json else {
            throw JSONError("expected an object, found \(json.kind)")
        }
        self = [:]
        reserveCapacity(object.count)
        for member in object.members {
            do throws(JSONError) {
                self[member.name] = try Value(json: member.value)
            } catch {
                throw error.under(member.name)
            }
        }
    }
    /// Members in the order of their names, so that equal maps have equal text.
    public var json: JSON {
        var object = JSONObject()
        for (name, value) in sorted(by: { $0.key < $1.key }) { object[name] = value.json }
        return .object(object)
    }
}

extension JSON: JSONDocument {
    public init(json: JSON) throws(JSONError) { self = json }
    public var json: JSON { self }
}

/// Takes an object apart member by member. What was not asked for stays in
/// `unknown`, so that a document can be written back whole. A member that is
/// null counts as absent, as in Go.
///
///     init(json: JSON) throws(JSONError) {
///         var reader = try ObjectReader(json)
///         destination = try reader.required("destination")
///         options = try reader.optional("options") ?? []
///         unknown = reader.unknown
///     }
public struct ObjectReader {
    private let object: JSONObject
    /// One bit for each of the first members, by position: sets of names cost more than all
    /// the rest of reading a document.
    private var asked: UInt64 = 0
    private var askedBeyond: Set<Int> = []

    public init(_ json: JSON) throws(JSONError) {
        guard case .object(let object) = json else {
            throw JSONError("expected an object, found \(json.kind)")
        }
        self.object = object
    }

    /// The members that nobody asked for, in their order.
    public var unknown: JSONObject {
        var rest = JSONObject()
        for (position, member) in object.members.enumerated() where !isAsked(position) {
            rest[member.name] = member.value
        }
        return rest
    }

    private func isAsked(_ position: Int) -> Bool {
        position < 64 ? asked & 1 << UInt64(position) != 0 : askedBeyond.contains(position)
    }

    /// The member's value, unless it is absent or null.
    @usableFromInline
    mutating func take(_ name: String) -> JSON? {
        guard let position = object.position(of: name) else { return nil }
        if position < 64 { asked |= 1 << UInt64(position) } else { askedBeyond.insert(position) }
        let value = object.members[position].value
        // Not by `?:`, where nil would be a JSON null.
        guard !value.isNull else { return nil }
        return value
    }

    // Inlinable, as the conformances above: specialized code needs no type metadata at run time,
    // whose making is a large part of what a short-lived program does.
    @inlinable
    public mutating func optional<Value: JSONDocument>(
        _ name: String, as type: Value.Type = Value.self
    ) throws(JSONError) -> Value? {
        guard let json = take(name) else { return nil }
        do throws(JSONError) {
            return try Value(json: json)
        } catch {
            throw error.under(name)
        }
    }

    @inlinable
    public mutating func required<Value: JSONDocument>(
        _ name: String, as type: Value.Type = Value.self
    ) throws(JSONError) -> Value {
        guard let value = try optional(name, as: type) else {
            throw JSONError(path: name, "is missing")
        }
        return value
    }
}

extension JSONObject {
    /// Puts a value in, unless it is nil.
    public mutating func set(_ name: String, _ value: (some JSONDocument)?) {
        if let value { self[name] = value.json }
    }

    /// Puts a list in, unless it is empty (Go's `omitempty`).
    public mutating func set(_ name: String, nonEmpty value: [some JSONDocument]) {
        if !value.isEmpty { self[name] = value.json }
    }

    public mutating func set(_ name: String, nonEmpty value: [String: some JSONDocument]) {
        if !value.isEmpty { self[name] = value.json }
    }

    /// Adds the members that were read and not understood.
    public mutating func append(unknown: JSONObject) {
        for member in unknown.members where self[member.name] == nil {
            self[member.name] = member.value
        }
    }
}
