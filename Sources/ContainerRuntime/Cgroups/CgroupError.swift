public import LinuxSystem

/// Why something could not be done with a control group.
public struct CgroupError: Error, Equatable, CustomStringConvertible {
    public enum Code: Equatable, Sendable {
        /// A limit was asked of a controller that is not mounted, or not available here.
        case controllerMissing
        /// The request makes no sense, or not with this version of cgroups.
        case invalid
        /// Processes or other groups are where none may be.
        case inUse
        /// The kernel refused.
        case system
    }

    public var code: Code
    public var message: String
    /// What the kernel said, where it was asked.
    public var errno: Errno?

    public init(_ code: Code, _ message: String, _ errno: Errno? = nil) {
        self.code = code
        self.message = message
        self.errno = errno
    }

    init(_ error: SystemError, _ what: String) {
        self.init(.system, what, error.errno)
    }

    public var description: String { errno.map { "\(message): \($0)" } ?? message }
}
