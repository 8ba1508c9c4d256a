/// Why a registry did not give what was asked of it.
public struct RegistryError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Code: Sendable {
        /// No connection, or one that broke and could not be resumed.
        case connection
        /// The peer speaks no TLS, or its certificate is not to be trusted.
        case tls
        case timedOut
        /// 401, or a challenge that cannot be answered.
        case unauthorized
        /// 403
        case denied
        /// 404
        case notFound
        /// 429
        case tooManyRequests
        /// Any other status of the 400s.
        case refused
        /// 5xx
        case unavailable
        /// An answer that breaks the protocol.
        case malformed
        /// An answer larger than what we accept.
        case tooLarge
        /// Parts of a blob are not to be had.
        case noRanges
        case cancelled
        /// What was to be sent could not be read.
        case source
        /// A file of the user's (auth file, certificates) or libcurl itself is at fault.
        case configuration
    }

    public var code: Code
    /// `get https://localhost:5000/v2/web/manifests/latest`
    public var request: String
    public var status: Int?
    public var message: String
    /// The peer accepted the connection and did not answer in TLS.
    var failedHandshake = false
    /// Nothing was sent: there was no connection to send it on.
    var neverConnected = false
    /// Seconds, from the server.
    var retryAfter: Int?

    public init(_ code: Code, _ request: String, status: Int? = nil, _ message: String) {
        self.code = code
        self.request = request
        self.status = status
        self.message = message
    }

    public var description: String {
        var text = request
        if let status { text += ": status \(status)" }
        return message.isEmpty ? text : "\(text): \(message)"
    }
}
