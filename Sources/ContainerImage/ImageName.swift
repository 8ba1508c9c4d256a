internal import ImageTrust
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
            guard DockerReference.isComponent(Array(component.utf8)[...]) else {
                throw invalid(
                    component.contains(where: \.isUppercase)
                        ? "a repository's name must be lower-case" : "\"\(component)\" is no part of a name")
            }
        }
        guard qualified(by: domain ?? "docker.io").repository.utf8.count <= 255 else {
            throw invalid("it is longer than 255 characters")
        }
        // Lower case already.
        if domain == nil, digest == nil, path.utf8.count == 64, path.allSatisfy(\.isHexDigit) {
            throw invalid("64 hexadecimal digits are an image's ID, not a name")
        }
    }

    /// `[\w][\w.-]{0,127}`
    public static func isTag(_ text: String) -> Bool { DockerReference.isTag(Array(text.utf8)[...]) }

    private static func isDomain(_ text: Substring) -> Bool {
        guard DockerReference.isDomain(Array(text.utf8)[...]) else { return false }
        guard !text.hasSuffix("]"), let colon = text.lastIndex(of: ":") else { return true }
        return UInt16(text[text.index(after: colon)...]) != nil
    }
}
