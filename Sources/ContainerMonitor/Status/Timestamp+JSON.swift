public import JSONText
public import LinuxSystem

extension Timestamp: JSONDocument {
    public init(json: JSON) throws(JSONError) {
        let text = try String(json: json)
        guard let value = Timestamp(parsing: text) else { throw JSONError("\"\(text)\" is no RFC 3339 time") }
        self = value
    }
    public var json: JSON { .string(description) }
}
