internal import JSONText
internal import LayerArchive

/// Takes an object of a policy apart. A member that nobody asked for is an error: a restriction
/// that we do not know must not be passed over.
final class PolicyFields {
    private let object: JSONObject
    private var asked: Set<String> = []

    init(_ json: JSON) throws(JSONError) {
        guard case .object(let object) = json else {
            throw JSONError("expected an object, found \(json.kind)")
        }
        self.object = object
    }

    func has(_ name: String) -> Bool { object[name] != nil }

    func value(_ name: String) -> JSON? {
        asked.insert(name)
        return object[name]
    }

    func string(_ name: String) throws(JSONError) -> String {
        guard let value = value(name) else { throw JSONError(path: name, "is missing") }
        guard let text = value.string, !text.isEmpty else {
            throw JSONError(path: name, "expected a text, found \(value.string == nil ? value.kind : "none")")
        }
        return text
    }

    func reference(_ name: String) throws(JSONError) -> DockerReference {
        let text = try string(name)
        guard let reference = DockerReference(parsing: text) else {
            throw JSONError(path: name, "\"\(text)\" is no name of an image")
        }
        return reference
    }

    func identity() throws(JSONError) -> SignedIdentity {
        guard let json = value("signedIdentity") else { return .matchRepoDigestOrExact }
        do throws(JSONError) { return try SignedIdentity(json: json) } catch {
            throw error.under("signedIdentity")
        }
    }

    /// What exactly one of `NAMEPath`, `NAMEPaths`, `NAMEData` and `NAMEDatas` says.
    /// - Parameter forms: those that there are.
    /// - Returns: nil when there is none of them.
    func keys(_ name: String, forms: [String] = ["Path", "Paths", "Data", "Datas"]) throws(JSONError)
        -> TrustedKeys?
    {
        let found = forms.filter { has(name + $0) }
        guard found.count <= 1 else {
            throw JSONError("\(name + found[0]) and \(name + found[1]) are both there: only one may be")
        }
        guard let form = found.first, let value = value(name + form) else { return nil }
        let isList = form.hasSuffix("s")
        var texts: [String] = []
        for element in isList ? value.array ?? [] : [value] {
            guard let text = element.string, !text.isEmpty else {
                throw JSONError(path: name + form, "expected a text, found \(element.kind)")
            }
            texts.append(text)
        }
        guard !texts.isEmpty else { throw JSONError(path: name + form, "names nothing") }
        if form.hasPrefix("Path") { return .paths(texts) }
        return .data(
            try texts.map { text throws(JSONError) in
                guard let bytes = Base64.decode(text) else {
                    throw JSONError(path: name + form, "is no base64")
                }
                return bytes
            })
    }

    func finish() throws(JSONError) {
        if let stranger = object.members.first(where: { !asked.contains($0.name) }) {
            throw JSONError(path: stranger.name, "is no key that we know")
        }
    }
}
