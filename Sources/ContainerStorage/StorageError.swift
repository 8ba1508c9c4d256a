import LayerArchive
import LinuxSystem

/// What the store could not do.
public struct StorageError: Error, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable {
        case notFound
        case exists
        /// A name or prefix fits more than one object.
        case ambiguous
        /// A container or a snapshot still needs the object.
        case inUse
        /// Another process changed the object after the caller had looked at it.
        case changed
        /// Content is not what its digest or size says.
        case mismatch
        /// A document or an archive breaks its format's rules or our bounds.
        case invalid
        /// The store itself is damaged.
        case damaged
        /// The directory is not a store, or one of a newer version.
        case notAStore
        case noSpace
        /// Another process kept a lock for too long.
        case busy
        case unsupported
        /// Where the bytes came from failed; `cause` is its error.
        case source
        case system
    }

    public var code: Code
    /// What was tried: a verb's phrase.
    public var operation: String
    /// On what: a name, a digest, a path.
    public var object: String
    public var reason: String
    public var cause: (any Error)?

    public init(
        _ code: Code, _ operation: String, _ object: String, _ reason: String, cause: (any Error)? = nil
    ) {
        self.code = code
        self.operation = operation
        self.object = object
        self.reason = reason
        self.cause = cause
    }

    public var description: String {
        if code == .source { return reason }
        return object.isEmpty ? "\(operation): \(reason)" : "\(operation) \(object): \(reason)"
    }
}

extension StorageError {
    init(_ operation: String, _ object: String, _ error: SystemError) {
        // The kernel's answer says more with the call it was given to, unless
        // the errno alone is the news.
        let full = error.errno == .noSpace || error.errno.rawValue == EDQUOT
        self.init(
            full ? .noSpace : error.errno == .noEntry ? .notFound : .system, operation, object,
            full ? "\(error.errno)" : "\(error)", cause: error)
    }

    init(_ operation: String, _ object: String, _ error: ArchiveError) {
        if let cause = error.cause, cause.errno == .noSpace || cause.errno.rawValue == EDQUOT {
            self.init(.noSpace, operation, object, "\(cause.errno)", cause: error)
            return
        }
        let code: Code =
            switch error.code {
            case .digestMismatch, .sizeMismatch: .mismatch
            case .unsupported: .unsupported
            case .fileSystem: .system
            default: .invalid
            }
        self.init(code, operation, object, "\(error)", cause: error)
    }

    /// For errors that cross an untyped boundary: a stream's.
    init(_ operation: String, _ object: String, any error: any Error) {
        switch error {
        case let error as StorageError: self = error
        case let error as SystemError: self.init(operation, object, error)
        case let error as ArchiveError: self.init(operation, object, error)
        default: self.init(.source, operation, object, "\(error)", cause: error)
        }
    }
}

/// Runs calls of the kernel's and says for what.
func storing<Value: ~Copyable>(
    _ operation: String, _ object: @autoclosure () -> String, _ body: () throws(SystemError) -> Value
) throws(StorageError) -> Value {
    do throws(SystemError) { return try body() } catch { throw StorageError(operation, object(), error) }
}
