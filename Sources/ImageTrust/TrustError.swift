/// Why an image is not trusted, or a signature could not be made, found or read.
public struct TrustError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Code: Sendable {
        /// policy.json or registries.d cannot be understood.
        case configuration
        /// The policy was understood, and says no.
        case rejected
        /// A signature that is none, or not by who it must be.
        case signature
        /// A key or a certificate that is none, or that cannot be used.
        case key
        /// Larger or more than we accept.
        case limit
        case unsupported
        case file
    }

    public var code: Code
    /// What was tried, on what.
    public var operation: String
    public var message: String

    public init(_ code: Code, _ operation: String, _ message: String) {
        self.code = code
        self.operation = operation
        self.message = message
    }

    public var description: String { operation.isEmpty ? message : "\(operation): \(message)" }
}
