/// Changes in files and directories (inotify(7)), to wait for; what changed is for the reader to look up.
public struct Inotify: ~Copyable, Sendable {
    private let descriptor: Descriptor
    public var raw: Int32 { descriptor.raw }

    /// - Throws: EMFILE when the user has too many already (fs.inotify.max_user_instances).
    public init() throws(SystemError) {
        descriptor = Descriptor(
            owning: try retrying("inotify_init1") { inotify_init1(Int32(O_CLOEXEC | O_NONBLOCK)) })
    }

    /// Watches the object that the path names now.
    @discardableResult
    public func watch(_ path: String, _ mask: UInt32) throws(SystemError) -> Int32 {
        let raw = descriptor.raw
        return try retrying("inotify_add_watch", path) { inotify_add_watch(raw, path, mask) }
    }

    /// The descriptor alone, for one who only waits.
    public consuming func intoDescriptor() -> Descriptor { descriptor }

    public func unwatch(_ watch: Int32) { inotify_rm_watch(raw, watch) }

    /// Throws away what waits to be read.
    public func drain() {
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
            while Glibc.read(raw, buffer.baseAddress, buffer.count) > 0 {}
        }
    }

    public static let modified: UInt32 = 0x2
    public static let moved: UInt32 = 0x800
    public static let movedInto: UInt32 = 0x80
    public static let created: UInt32 = 0x100
    public static let closedAfterWriting: UInt32 = 0x8
    public static let deletedItself: UInt32 = 0x400
}
