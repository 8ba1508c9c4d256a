/// Extended attributes (xattr(7)). Names and values are bytes.
///
/// A file that cannot be opened (a symbolic link, a device) is reached as
/// `/proc/self/fd/<directory>/<name>`: the link in /proc is our own
/// descriptor's, and the l-calls do not follow the last component.
public enum ExtendedAttributes {
    /// The kernel's XATTR_LIST_MAX and XATTR_SIZE_MAX (limits.h).
    public static let maximumSize = 65536

    public struct Attribute: Equatable, Sendable {
        /// `user.mime_type`, without a final NUL.
        public var name: [UInt8]
        public var value: [UInt8]

        public init(name: [UInt8], value: [UInt8]) {
            self.name = name
            self.value = value
        }

        public init(_ name: String, _ value: [UInt8]) {
            self.init(name: Array(name.utf8), value: value)
        }

        public var text: String { String(decoding: name, as: UTF8.self) }
    }

    // MARK: By descriptor (not an O_PATH one)

    /// Empty where the file system has no attributes.
    public static func names(_ fd: Int32) throws(SystemError) -> [[UInt8]] {
        try list { flistxattr(fd, $0, $1) }
    }

    /// Nil when there is no such attribute, or the file system has none.
    public static func value(_ fd: Int32, _ name: [UInt8]) throws(SystemError) -> [UInt8]? {
        let name = cString(name)
        return try get { fgetxattr(fd, name, $0, $1) }
    }

    public static func set(_ fd: Int32, _ attribute: Attribute) throws(SystemError) {
        let name = cString(attribute.name)
        _ = try retrying("set attribute", attribute.text) {
            fsetxattr(fd, name, attribute.value, attribute.value.count, 0)
        }
    }

    /// An attribute that is not there is no error.
    public static func remove(_ fd: Int32, _ name: [UInt8]) throws(SystemError) {
        let text = cString(name)
        if fremovexattr(fd, text) == 0 { return }
        let errno = Errno.current
        if errno == .noData || errno == .notSupported { return }
        throw SystemError("remove attribute", String(decoding: name, as: UTF8.self), errno)
    }

    // MARK: By a directory's descriptor and a name in it, not followed

    public static func names(of file: UnsafePointer<CChar>, at directory: Int32) throws(SystemError)
        -> [[UInt8]]
    {
        let path = path(of: file, at: directory)
        return try list { llistxattr(path, $0, $1) }
    }

    public static func value(
        of file: UnsafePointer<CChar>, at directory: Int32, _ name: [UInt8]
    ) throws(SystemError) -> [UInt8]? {
        let path = path(of: file, at: directory)
        let name = cString(name)
        return try get { lgetxattr(path, name, $0, $1) }
    }

    public static func set(
        of file: UnsafePointer<CChar>, at directory: Int32, _ attribute: Attribute
    ) throws(SystemError) {
        let path = path(of: file, at: directory)
        let name = cString(attribute.name)
        _ = try retrying("set attribute", attribute.text) {
            lsetxattr(path, name, attribute.value, attribute.value.count, 0)
        }
    }

    private static func path(of file: UnsafePointer<CChar>, at directory: Int32) -> [CChar] {
        var path = "/proc/self/fd/\(directory)/".utf8.map { CChar(bitPattern: $0) }
        path.append(contentsOf: UnsafeBufferPointer(start: file, count: strlen(file) + 1))
        return path
    }

    private static func cString(_ bytes: [UInt8]) -> [CChar] {
        var text = bytes.map { CChar(bitPattern: $0) }
        text.append(0)
        return text
    }

    private static func list(
        _ call: (UnsafeMutablePointer<CChar>?, Int) -> Int
    ) throws(SystemError) -> [[UInt8]] {
        // Nearly every file has none: ask for the size first, without a buffer.
        var size = call(nil, 0)
        while true {
            if size == 0 { return [] }
            if size > 0 {
                var buffer = [CChar](repeating: 0, count: size)
                size = call(&buffer, buffer.count)
                if size >= 0 {
                    return buffer[..<size].split(separator: 0).map { $0.map { UInt8(bitPattern: $0) } }
                }
            }
            let errno = Errno.current
            switch errno {
            case .notSupported, .noSystemCall: return []
            // The list grew between the calls.
            case Errno(ERANGE): size = maximumSize
            case .interrupted: size = call(nil, 0)
            default: throw SystemError("list attributes", "", errno)
            }
        }
    }

    private static func get(_ call: (UnsafeMutableRawPointer?, Int) -> Int) throws(SystemError) -> [UInt8]? {
        var capacity = 256
        while true {
            var size = 0
            let value = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
                size = call(buffer.baseAddress, capacity)
                count = max(size, 0)
            }
            if size >= 0 { return value }
            let errno = Errno.current
            switch errno {
            case .noData, .notSupported, .noSystemCall: return nil
            case Errno(ERANGE) where capacity < maximumSize: capacity = maximumSize
            case .interrupted: continue
            default: throw SystemError("get attribute", "", errno)
            }
        }
    }
}
