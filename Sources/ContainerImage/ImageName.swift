public import LayerArchive

/// An image's name as a person types it, perhaps without a domain. The
/// grammar is docker's (distribution/reference):
///
///     name   = [domain "/"] component *("/" component) [":" tag] ["@" digest]
///     domain = host [":" port], told from a component by a "." or ":" in it,
///              an upper-case letter, or by being "localhost"
public struct ImageName: Hashable, Sendable {
    public var domain: String?
    public var path: String
    public var tag: String?
    public var digest: Digest?

    /// Which registry is meant is for registries.conf to say.
    public var isShort: Bool { domain == nil }

    public func qualified(by domain: String) -> ImageReference {
        ImageReference(domain: domain, path: path, tag: tag, digest: digest)
    }

    public init(parsing text: String) throws(ImageError) {
        func invalid(_ why: String) -> ImageError {
            ImageError(.invalidReference, "invalid image name \"\(text.prefix(300))\"", why)
        }
        guard !text.isEmpty else { throw invalid("it is empty") }
        var rest = Substring(text)
        if let at = rest.firstIndex(of: "@") {
            do throws(ArchiveError) {
                digest = try Digest(parsing: String(rest[rest.index(after: at)...]))
            } catch {
                throw invalid(error.message)
            }
            rest = rest[..<at]
        }
        if let colon = rest.lastIndex(of: ":"), !rest[colon...].contains("/") {
            let tag = String(rest[rest.index(after: colon)...])
            guard Self.isTag(tag) else { throw invalid("\"\(tag.prefix(140))\" is no tag") }
            self.tag = tag
            rest = rest[..<colon]
        }
        if let slash = rest.firstIndex(of: "/") {
            let first = rest[..<slash]
            if first == "localhost" || first.contains(".") || first.contains(":")
                || first.contains(where: \.isUppercase)
            {
                guard Self.isDomain(first) else { throw invalid("\"\(first)\" is no host") }
                domain = String(first)
                rest = rest[rest.index(after: slash)...]
            }
        }
        path = String(rest)
        for component in rest.split(separator: "/", omittingEmptySubsequences: false) {
            guard Self.isComponent(component) else {
                throw invalid(
                    component.contains(where: \.isUppercase)
                        ? "a repository's name must be lower-case" : "\"\(component)\" is no part of a name")
            }
        }
        guard (domain?.utf8.count ?? -1) + 1 + path.utf8.count <= 255 else {
            throw invalid("it is longer than 255 characters")
        }
        if domain == nil, digest == nil, path.utf8.count == 64, path.utf8.allSatisfy({ $0.isLowerHex }) {
            throw invalid("64 hexadecimal digits are an image's ID, not a name")
        }
    }

    /// `[\w][\w.-]{0,127}`
    public static func isTag(_ text: String) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= 128 else { return false }
        func isWord(_ byte: UInt8) -> Bool { byte.isLetterOrDigit || byte == UInt8(ascii: "_") }
        return isWord(first)
            && text.utf8.allSatisfy { isWord($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }
    }

    /// Runs of lower-case letters and digits, joined by `.`, `_`, `__` or dashes.
    private static func isComponent(_ text: Substring) -> Bool {
        var separator = ""
        var seenWord = false
        for character in text.unicodeScalars {
            if ("a"..."z").contains(character) || ("0"..."9").contains(character) {
                guard separator.isEmpty || seenWord else { return false }
                guard ["", ".", "_", "__"].contains(separator) || separator.allSatisfy({ $0 == "-" }) else {
                    return false
                }
                separator = ""
                seenWord = true
            } else if character == "." || character == "_" || character == "-" {
                separator.unicodeScalars.append(character)
            } else {
                return false
            }
        }
        return seenWord && separator.isEmpty
    }

    private static func isDomain(_ text: Substring) -> Bool {
        var host = text
        if let colon = host.lastIndex(of: ":"), !host.hasSuffix("]") {
            let port = host[host.index(after: colon)...]
            guard UInt16(port) != nil else { return false }
            host = host[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            return host.dropFirst().dropLast().utf8.allSatisfy { $0.isHex || $0 == UInt8(ascii: ":") }
        }
        return host.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
            !part.isEmpty && part.first != "-" && part.last != "-"
                && part.utf8.allSatisfy { $0.isLetterOrDigit || $0 == UInt8(ascii: "-") }
        }
    }
}

extension UInt8 {
    fileprivate var isDigit: Bool { self >= 0x30 && self <= 0x39 }
    fileprivate var isLetterOrDigit: Bool { isDigit || (self | 0x20 >= 0x61 && self | 0x20 <= 0x7A) }
    fileprivate var isLowerHex: Bool { isDigit || (self >= 0x61 && self <= 0x66) }
    fileprivate var isHex: Bool { isDigit || (self | 0x20 >= 0x61 && self | 0x20 <= 0x66) }
}
