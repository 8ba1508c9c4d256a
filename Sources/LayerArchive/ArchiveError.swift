public import LinuxSystem

/// What was wrong with a stream, an archive or the tree it was applied to.
public struct ArchiveError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// A text is no digest, or its algorithm is unknown.
        case invalidDigest
        /// The bytes are not those that the digest names.
        case digestMismatch
        /// There are more or fewer bytes than were announced.
        case sizeMismatch
        /// The stream ends too early.
        case truncated
        /// The stream breaks its format's rules.
        case malformed
        /// An entry that would leave the root, or that no honest archive holds.
        case unsafeEntry
        /// A bound of ours, against hostile input, was passed.
        case limitExceeded
        /// A format, a type of entry or a property that is not handled.
        case unsupported
        /// A file changed while it was read.
        case changed
        /// The kernel refused; `cause` has its answer.
        case fileSystem
    }

    public var code: Code
    /// What was tried and what went wrong.
    public var message: String
    /// On what: an entry's name, a digest; empty for the stream itself.
    public var object: String
    public var cause: SystemError?

    public init(_ code: Code, _ message: String, on object: String = "", cause: SystemError? = nil) {
        self.code = code
        self.message = message
        self.object = object
        self.cause = cause
    }

    public var description: String {
        var text = object.isEmpty ? message : "\(object): \(message)"
        if let cause { text += ": \(cause.errno)" }
        return text
    }
}
