internal import JSONText

/// Why an image could not be fetched, read, made or written.
public struct ImageError: Error, Sendable, CustomStringConvertible {
    public enum Code: Sendable {
        /// No name of an image, or no source that we know.
        case invalidReference
        /// There is no such image, tag or file.
        case notFound
        /// A short name that could mean several images, or none.
        case ambiguousName
        /// registries.conf forbids the registry.
        case blocked
        /// The image has nothing for the platform asked for.
        case unknownPlatform
        /// A document or archive that breaks its specification.
        case malformed
        /// The bytes are not those that a digest names.
        case corrupt
        /// Larger, deeper or more than we accept.
        case limit
        /// Valid, and not something we can run.
        case unsupported
        case unauthorized
        /// The policy refuses it.
        case untrusted
        /// The registry, or the way to it.
        case registry
        /// The store, or the disk below it.
        case storage
        /// A file or stream that is read or written.
        case file
        case configuration
        case cancelled
    }

    public var code: Code
    /// What was tried, on what: `pull docker.io/library/debian:12`.
    public var operation: String
    public var message: String

    /// What images, archives and registries say stands in both: here, for all of them, it is made fit for
    /// a terminal.
    public init(_ code: Code, _ operation: String, _ message: String) {
        self.code = code
        self.operation = operation.printable()
        self.message = message.printable()
    }

    public var description: String { operation.isEmpty ? message : "\(operation): \(message)" }
}
