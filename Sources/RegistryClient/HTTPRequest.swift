internal import LayerArchive
internal import LinuxSystem

/// One request: a GET unless it says something else.
struct HTTPRequest {
    var url: HTTPURL
    var method = "GET"
    /// `Name: value`
    var headers: [String] = []
    /// POSTed when there is one.
    var form: [UInt8]?
    /// Sent as it is read.
    var body: HTTPBody?
    var tls = TLSSettings()
    /// The path of a UNIX socket, in place of the URL's host.
    var socket: String?
    /// The answer is: it comes by HTTP/1.1 from who speaks it.
    var isLarge = false
    /// Given up when one is raised.
    var stops: [StopFlag] = []

    /// As errors name it. The query may carry a signature: it stays out.
    var name: String { "\(form == nil ? method.lowercased() : "post") \(url.withoutQuery)" }
}

/// What a request carries: opened anew for each time that it is sent.
struct HTTPBody {
    var size: Int64
    var open: () throws -> any ByteSource
}

/// Whom to trust, and who we are.
struct TLSSettings: Sendable {
    var verify = true
    /// PEM certificates of authorities; nil for the system's.
    var authorities: [UInt8]?
    /// Paths of PEM files.
    var certificate: String?
    var key: String?
}

/// As much of a URL as choosing where credentials may go takes (RFC 3986).
struct HTTPURL: Equatable, Sendable {
    let text: String
    let scheme: String
    /// `host` or `host:port`, in lower case.
    let authority: String

    /// Nil for what is not `http` or `https`, has no host, or carries a user's name.
    init?(_ text: String) {
        guard let colon = text.range(of: "://") else { return nil }
        let scheme = text[..<colon.lowerBound].lowercased()
        guard scheme == "http" || scheme == "https" else { return nil }
        guard !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else { return nil }
        let rest = text[colon.upperBound...]
        let end = rest.firstIndex { "/?#\\".contains($0) } ?? rest.endIndex
        let authority = rest[..<end].lowercased()
        guard !authority.isEmpty, authority.first != ":", !authority.contains("@") else { return nil }
        self.text = text
        self.scheme = scheme
        self.authority = authority
    }

    /// Scheme, host and port (RFC 6454): credentials go no further.
    var origin: String {
        let port = scheme == "https" ? ":443" : ":80"
        return "\(scheme)://\(authority.hasSuffix(port) ? String(authority.dropLast(port.count)) : authority)"
    }

    var withoutQuery: String {
        String(text.prefix { $0 != "?" && $0 != "#" })
    }

    /// The same URL with one more query item.
    func adding(_ name: String, _ value: String) -> String {
        text + (text.contains("?") ? "&" : "?") + name + "=" + Self.escape(value)
    }

    /// Percent-encoding of everything but RFC 3986's unreserved characters.
    static func escape(_ value: String) -> String {
        let digits = Array("0123456789ABCDEF".unicodeScalars)
        var output = String.UnicodeScalarView()
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                output.append(Unicode.Scalar(byte))
            default:
                output.append("%")
                output.append(digits[Int(byte >> 4)])
                output.append(digits[Int(byte & 15)])
            }
        }
        return String(output)
    }
}

extension String {
    /// The first place where `other` stands. (The standard library has none without Foundation.)
    func range(of other: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(other) { return start..<index(start, offsetBy: other.count) }
            start = index(after: start)
        }
        return nil
    }
}
