import ContainerMonitor
import ContainerRuntime

/// Why the engine did not do what it was asked to.
public struct EngineError: Error, Sendable, CustomStringConvertible {
    /// What a face makes an exit code, a gRPC code or an HTTP status of.
    public enum Code: String, Sendable {
        /// The container, image or volume is not there.
        case notFound
        /// The name or the port is taken, or the object is in a state that forbids it.
        case conflict
        /// The request contradicts itself or is malformed.
        case invalid
        /// The command of the container is not in its root file system.
        case commandNotFound
        /// The command of the container cannot be executed.
        case commandNotExecutable
        /// The host or the kernel refused.
        case failed
    }

    public var code: Code
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }

    static func noContainer(_ name: String) -> EngineError {
        EngineError(.notFound, "no container with name or ID \"\(name)\" found: no such container")
    }
}

extension EngineError {
    /// The engine's view of an error from a room below.
    public init(_ error: any Error, while doing: String? = nil) {
        let prefix = doing.map { "\($0): " } ?? ""
        switch error {
        case let error as EngineError:
            self.init(error.code, prefix + error.message)
        case let error as MonitorError where error.code == .commandNotFound:
            self.init(.commandNotFound, prefix + error.message)
        case let error as MonitorError where error.code == .commandNotExecutable:
            self.init(.commandNotExecutable, prefix + error.message)
        case let error as RuntimeError where error.exitCode == 127:
            self.init(.commandNotFound, prefix + error.description)
        case let error as RuntimeError where error.exitCode == 126:
            self.init(.commandNotExecutable, prefix + error.description)
        default:
            self.init(.failed, prefix + "\(error)")
        }
    }
}

/// Runs what may throw a lower room's error and rethrows the engine's.
@inline(__always) @discardableResult
func engineErrors<Value: ~Copyable>(_ doing: String? = nil, _ body: () throws -> Value) throws(EngineError)
    -> Value
{
    do {
        return try body()
    } catch {
        throw EngineError(error, while: doing)
    }
}
