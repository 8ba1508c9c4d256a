import LinuxSystem

/// Why a monitor, or a talk with one, failed.
public struct MonitorError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// A request or a record that cannot be understood.
        case invalidDocument
        /// The kernel refused something.
        case system
        /// No monitor answers for this container.
        case noMonitor
        /// The monitor ended in the middle of the talk.
        case monitorDied
        /// The runtime could not create or start the container; `exitCode` says how.
        case runtime
        /// The command is not in the container (exit code 127).
        case commandNotFound
        /// The command is in the container but cannot be executed (exit code 126).
        case commandNotExecutable
    }

    public var code: Code
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    init(_ error: SystemError) { self.init(.system, error.description) }

    /// What a face that was asked to run the container exits with, as Docker does.
    public var exitCode: Int32 {
        switch code {
        case .commandNotFound: 127
        case .commandNotExecutable: 126
        default: 125
        }
    }

    public var description: String { message }
}

/// Runs system calls and gives their error in this room's type.
@inline(__always)
func system<Value: ~Copyable>(_ body: () throws(SystemError) -> Value) throws(MonitorError) -> Value {
    do throws(SystemError) { return try body() } catch { throw MonitorError(error) }
}
