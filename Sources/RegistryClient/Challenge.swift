/// One challenge of a `WWW-Authenticate` header (RFC 9110, 11.6.1).
struct Challenge: Equatable {
    /// In lower case: `bearer`, `basic`.
    var scheme: String
    /// Names in lower case.
    var parameters: [String: String] = [:]

    /// All challenges of a header. What is no challenge is skipped.
    static func parse(_ header: String) -> [Challenge] {
        var challenges: [Challenge] = []
        var rest = Substring(header)

        func skipSpace() {
            while let first = rest.first, first == " " || first == "\t" || first == "," { rest.removeFirst() }
        }
        func token() -> String {
            let text = rest.prefix { $0.isLetter || $0.isNumber || "!#$%&'*+-.^_`|~/".contains($0) }
            rest = rest.dropFirst(text.count)
            return String(text)
        }

        while true {
            skipSpace()
            let name = token()
            if name.isEmpty {
                if rest.isEmpty { return challenges }
                rest.removeFirst()
                continue
            }
            guard rest.first == "=" else {
                challenges.append(Challenge(scheme: name.lowercased()))
                continue
            }
            rest.removeFirst()
            var value = ""
            if rest.first == "\"" {
                rest.removeFirst()
                while let next = rest.popFirst(), next != "\"" {
                    if next == "\\", let escaped = rest.popFirst() {
                        value.append(escaped)
                    } else {
                        value.append(next)
                    }
                }
            } else {
                value = token()
            }
            if !challenges.isEmpty { challenges[challenges.count - 1].parameters[name.lowercased()] = value }
        }
    }
}
