internal import LayerArchive

/// Who asks a registry for something.
public enum Credentials: Equatable, Sendable {
    case password(user: String, password: String)
    /// A token that buys others (OAuth 2's refresh token; `identitytoken` in the files).
    case identityToken(String)
    /// A token that the registry itself takes.
    case registryToken(String)

    /// `USER[:PASSWORD]`, as `--creds` has it.
    public init?(parsing text: String) {
        let colon = text.firstIndex(of: ":")
        let user = String(text[..<(colon ?? text.endIndex)])
        guard !user.isEmpty else { return nil }
        self = .password(
            user: user, password: colon.map { String(text[text.index(after: $0)...]) } ?? "")
    }

    /// Of an `Authorization` header.
    var basic: String? {
        guard case .password(let user, let password) = self else { return nil }
        return "Basic " + Base64.encode(Array("\(user):\(password)".utf8))
    }
}
