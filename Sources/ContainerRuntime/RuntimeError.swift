public import LinuxSystem

/// Why a container could not be made, changed or removed.
public struct RuntimeError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Code: UInt8, Sendable {
        /// The bundle or its config.json cannot be used.
        case invalidConfig
        case invalidID
        case alreadyExists
        case notFound
        /// The container is not in the state that the operation needs.
        case wrongState
        /// The command is not in the container; a shell makes that 127.
        case commandNotFound
        /// The command is there and cannot be executed; a shell makes that 126.
        case commandNotExecutable
        case hook
        case system
        /// What is asked for is not there, in this kernel or in this program.
        case unsupported
    }

    public var code: Code
    /// What was tried, on what, and why it failed: lower case, one line.
    public var message: String
    /// The kernel's answer, where there is one.
    public var cause: SystemError?
    /// The container was complete; all that failed is the execution of its command.
    public var isOfCommand = false

    public init(_ code: Code, _ message: String, cause: SystemError? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    public var description: String { cause.map { "\(message): \($0)" } ?? message }

    /// The exit code that Docker gives to the failure.
    public var exitCode: Int32 {
        switch code {
        case .commandNotFound: 127
        case .commandNotExecutable: 126
        default: 125
        }
    }

    func under(_ outer: String) -> RuntimeError {
        isOfCommand ? self : RuntimeError(code, "\(outer): \(message)", cause: cause)
    }
}

/// Runs system calls and says what they were for when one fails.
@inline(__always)
func during<Value: ~Copyable>(
    _ what: @autoclosure () -> String, code: RuntimeError.Code = .system,
    _ body: () throws(SystemError) -> Value
) throws(RuntimeError) -> Value {
    do throws(SystemError) {
        return try body()
    } catch {
        throw RuntimeError(code, what(), cause: error)
    }
}
