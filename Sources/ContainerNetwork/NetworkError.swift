public import LinuxSystem

/// Why a network operation failed.
public struct NetworkError: Error, Sendable, CustomStringConvertible {
    public enum Code: Sendable, Equatable {
        /// What the user wrote is no port mapping, subnet, name or address.
        case invalidArgument
        /// Somebody holds a host port already.
        case portInUse
        /// No subnet is free, or no address in it.
        case exhausted
        /// A record under the state directory is damaged.
        case damagedState
        /// The kernel refused.
        case system
    }

    public let code: Code
    public let message: String
    public let cause: SystemError?

    public init(_ code: Code, _ message: String, cause: SystemError? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    public var description: String { cause.map { "\(message): \($0)" } ?? message }
}

/// Runs kernel calls and says what they were for.
func attempting<Value: ~Copyable>(
    _ purpose: @autoclosure () -> String, _ body: () throws(SystemError) -> Value
) throws(NetworkError) -> Value {
    do throws(SystemError) {
        return try body()
    } catch {
        throw NetworkError(.system, "cannot \(purpose())", cause: error)
    }
}
