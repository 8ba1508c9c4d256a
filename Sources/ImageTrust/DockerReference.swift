/// An image's whole name, as signatures and policies have it: `docker.io/library/debian:12`.
///
/// The parts are what distribution/reference makes of them: a name without a domain is Docker Hub's,
/// and one without a user is `library`'s there.
public struct DockerReference: Hashable, Sendable, CustomStringConvertible {
    /// `host` or `host:port`.
    public let domain: String
    public let path: String
    public let tag: String?
    /// `sha256:…`
    public let digest: String?

    /// Parts that were checked by who read them.
    public init(domain: String, path: String, tag: String?, digest: String?) {
        self.domain = domain
        self.path = path
        self.tag = tag
        self.digest = digest
    }

    /// - Returns: nil for what is no name.
    public init?(parsing text: String) {
        // Bytes, so that no two of them can make one character.
        var rest = Array(text.utf8)[...]
        guard rest.count <= 1024 else { return nil }
        var digest: String?
        if let at = rest.firstIndex(of: UInt8(ascii: "@")) {
            guard Self.isDigest(rest[(at + 1)...]) else { return nil }
            digest = String(decoding: rest[(at + 1)...], as: UTF8.self)
            rest = rest[..<at]
        }
        var tag: String?
        let lastSlash = rest.lastIndex(of: UInt8(ascii: "/")) ?? rest.startIndex
        if let colon = rest.lastIndex(of: UInt8(ascii: ":")), colon > lastSlash {
            guard Self.isTag(rest[(colon + 1)...]) else { return nil }
            tag = String(decoding: rest[(colon + 1)...], as: UTF8.self)
            rest = rest[..<colon]
        }
        var domain = "docker.io"
        if let slash = rest.firstIndex(of: UInt8(ascii: "/")) {
            let first = rest[..<slash]
            let isDomain =
                first.elementsEqual("localhost".utf8)
                || first.contains { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: ":") || $0.isUpper }
            if isDomain {
                guard Self.isDomain(first) else { return nil }
                domain = String(decoding: first, as: UTF8.self)
                rest = rest[(slash + 1)...]
            }
        }
        guard
            rest.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
                .allSatisfy(Self.isComponent)
        else { return nil }
        if domain == "index.docker.io" { domain = "docker.io" }
        let path = String(decoding: rest, as: UTF8.self)
        self.init(
            domain: domain, path: domain == "docker.io" && !path.contains("/") ? "library/\(path)" : path,
            tag: tag, digest: digest)
        guard name.utf8.count <= 255 else { return nil }
    }

    /// `docker.io/library/debian`
    public var name: String { "\(domain)/\(path)" }
    public var isNameOnly: Bool { tag == nil && digest == nil }

    public var description: String {
        name + (tag.map { ":\($0)" } ?? "") + (digest.map { "@\($0)" } ?? "")
    }

    // MARK: Grammar (distribution/reference, regexp.go)

    private static func isDigest(_ text: ArraySlice<UInt8>) -> Bool {
        let hex: ArraySlice<UInt8>
        if text.starts(with: "sha256:".utf8), text.count == 7 + 64 {
            hex = text.dropFirst(7)
        } else if text.starts(with: "sha512:".utf8), text.count == 7 + 128 {
            hex = text.dropFirst(7)
        } else {
            return false
        }
        return hex.allSatisfy { $0.isDigit || (0x61...0x66).contains($0) }
    }

    /// `[\w][\w.-]{0,127}`
    public static func isTag(_ text: ArraySlice<UInt8>) -> Bool {
        guard let first = text.first, text.count <= 128, first.isWord else { return false }
        return text.allSatisfy { $0.isWord || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }
    }

    /// `host` or `host:port`.
    public static func isDomain(_ text: ArraySlice<UInt8>) -> Bool {
        var host = text
        if text.first == UInt8(ascii: "[") {
            guard let end = text.firstIndex(of: UInt8(ascii: "]")), end > text.startIndex + 1,
                text[(text.startIndex + 1)..<end].allSatisfy({ $0.isHex || $0 == UInt8(ascii: ":") })
            else { return false }
            let port = text[(end + 1)...]
            return port.isEmpty || port.first == UInt8(ascii: ":") && isPort(port.dropFirst())
        }
        if let colon = text.firstIndex(of: UInt8(ascii: ":")) {
            guard isPort(text[(colon + 1)...]) else { return false }
            host = text[..<colon]
        }
        return host.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy {
            label in
            guard let first = label.first, let last = label.last else { return false }
            return first.isAlphanumeric && last.isAlphanumeric
                && label.allSatisfy { $0.isAlphanumeric || $0 == UInt8(ascii: "-") }
        }
    }

    private static func isPort(_ text: ArraySlice<UInt8>) -> Bool {
        !text.isEmpty && text.allSatisfy(\.isDigit)
    }

    /// Runs of lower-case letters and digits, joined by `.`, `_`, `__` or dashes.
    public static func isComponent(_ text: ArraySlice<UInt8>) -> Bool {
        guard let first = text.first, let last = text.last else { return false }
        guard first.isLowerOrDigit, last.isLowerOrDigit else { return false }
        return text.split(whereSeparator: \.isLowerOrDigit).allSatisfy { separator in
            separator.allSatisfy { $0 == UInt8(ascii: "-") } || separator.elementsEqual(".".utf8)
                || separator.elementsEqual("_".utf8) || separator.elementsEqual("__".utf8)
        }
    }
}

extension UInt8 {
    fileprivate var isDigit: Bool { (0x30...0x39).contains(self) }
    fileprivate var isUpper: Bool { (0x41...0x5A).contains(self) }
    fileprivate var isLowerOrDigit: Bool { (0x61...0x7A).contains(self) || isDigit }
    fileprivate var isAlphanumeric: Bool { isUpper || isLowerOrDigit }
    fileprivate var isWord: Bool { isAlphanumeric || self == UInt8(ascii: "_") }
    fileprivate var isHex: Bool { isDigit || (0x41...0x46).contains(self) || (0x61...0x66).contains(self) }
}
