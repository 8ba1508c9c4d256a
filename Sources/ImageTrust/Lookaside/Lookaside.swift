public import LayerArchive

/// The place of a repository's signatures, apart from its registry (containers/image,
/// docs/signature-protocols.md).
public enum Lookaside: Sendable, Equatable {
    case directory(String, repository: String)
    /// An `http` or `https` URL: for reading.
    case web(String, repository: String)

    init(_ text: String, repository: String) throws(TrustError) {
        func wrong(_ why: String) -> TrustError {
            TrustError(.configuration, "find signatures at \"\(text.prefix(300))\"", why)
        }
        if text.hasPrefix("file://") {
            let path = text.dropFirst("file://".count)
            guard path.hasPrefix("/"), let decoded = Self.decoded(path) else {
                throw wrong("expected file:///PATH")
            }
            self = .directory(decoded, repository: repository)
        } else if text.hasPrefix("https://") || text.hasPrefix("http://") {
            self = .web(text, repository: repository)
        } else {
            throw wrong("only file:, http: and https: are supported")
        }
    }

    /// The name of a signature's file below the place: `library/debian@sha256=…/signature-1`.
    /// - Parameter number: from 1.
    public static func path(_ repository: String, _ manifest: Digest, _ number: Int) -> String {
        "\(directory(repository, manifest))/signature-\(number)"
    }

    static func directory(_ repository: String, _ manifest: Digest) -> String {
        "\(repository)@\(manifest.algorithm.rawValue)=\(manifest.hex)"
    }

    /// RFC 3986, section 2.1.
    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16), value != 0
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return bytes.contains(0) ? nil : String(decoding: bytes, as: UTF8.self)
    }
}
