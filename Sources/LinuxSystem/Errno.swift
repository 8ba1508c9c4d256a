/// An error number of the kernel (errno(3)).
public struct Errno: Error, Equatable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: Int32
    public init(_ rawValue: Int32) { self.rawValue = rawValue }

    /// The number that the last failed C call of this thread left.
    public static var current: Errno { Errno(linux_errno()) }

    /// `no such file or directory`, as strerror(3) puts it, in lower case.
    public var description: String {
        guard let text = strerror(rawValue) else { return "error \(rawValue)" }
        let message = String(cString: text)
        return message.prefix(1).lowercased() + message.dropFirst()
    }

    public static let noEntry = Errno(ENOENT)
    public static let exists = Errno(EEXIST)
    public static let notDirectory = Errno(ENOTDIR)
    public static let isDirectory = Errno(EISDIR)
    public static let notPermitted = Errno(EPERM)
    public static let accessDenied = Errno(EACCES)
    public static let invalid = Errno(EINVAL)
    public static let noSystemCall = Errno(ENOSYS)
    public static let notSupported = Errno(EOPNOTSUPP)
    public static let busy = Errno(EBUSY)
    public static let again = Errno(EAGAIN)
    public static let interrupted = Errno(EINTR)
    public static let noProcess = Errno(ESRCH)
    public static let noChild = Errno(ECHILD)
    public static let noSpace = Errno(ENOSPC)
    public static let nameTooLong = Errno(ENAMETOOLONG)
    public static let notEmpty = Errno(ENOTEMPTY)
    public static let crossDevice = Errno(EXDEV)
    public static let loop = Errno(ELOOP)
    public static let addressInUse = Errno(EADDRINUSE)
    public static let brokenPipe = Errno(EPIPE)
    public static let io = Errno(EIO)
    public static let noData = Errno(ENODATA)
    public static let execFormat = Errno(ENOEXEC)
}

/// What was asked of the kernel, on what, and what it answered.
public struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
    public var operation: String
    public var object: String
    public var errno: Errno

    public init(_ operation: String, _ object: String = "", _ errno: Errno) {
        self.operation = operation
        self.object = object
        self.errno = errno
    }

    public var description: String {
        object.isEmpty ? "\(operation): \(errno)" : "\(operation) \(object): \(errno)"
    }
}

/// Runs a C call that answers -1 and errno, again while a signal interrupts it.
@inline(__always)
package func retrying<Value: FixedWidthInteger>(
    _ operation: @autoclosure () -> String, _ object: @autoclosure () -> String = "",
    _ call: () -> Value
) throws(SystemError) -> Value {
    while true {
        let result = call()
        if result != -1 { return result }
        let errno = Errno.current
        if errno != .interrupted { throw SystemError(operation(), object(), errno) }
    }
}

/// Runs a wrapper that answers -errno, again while a signal interrupts it.
@inline(__always)
package func checked<Value: SignedInteger & FixedWidthInteger>(
    _ operation: @autoclosure () -> String, _ object: @autoclosure () -> String = "",
    _ call: () -> Value
) throws(SystemError) -> Value {
    while true {
        let result = call()
        if result >= 0 { return result }
        let errno = Errno(Int32(-result))
        if errno != .interrupted { throw SystemError(operation(), object(), errno) }
    }
}
