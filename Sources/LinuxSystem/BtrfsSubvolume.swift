/// btrfs's subvolumes (ioctl(2) of linux/btrfs.h): directories that can be
/// copied and removed as a whole, whatever is in them.
public enum BtrfsSubvolume {
    private static let magic = 0x9123_683E
    /// The number of each subvolume's root directory.
    private static let rootInode: ino_t = 256

    public static func isOnBtrfs(_ fd: Int32) -> Bool {
        (try? Mount.fileSystemType(of: fd)) == magic
    }

    /// Whether a descriptor is open on a subvolume's root.
    public static func isSubvolume(_ fd: Int32) -> Bool {
        isOnBtrfs(fd) && (try? FD.stat(fd).st_ino) == rootInode
    }

    public static func create(_ name: String, at directory: Int32) throws(SystemError) {
        try call("make subvolume", 0x5000_940E, directory, name, source: 0)
    }

    /// - Parameter source: open on a subvolume's root.
    public static func snapshot(_ source: Int32, as name: String, at directory: Int32) throws(SystemError) {
        try call("snapshot subvolume", 0x5000_9401, directory, name, source: source)
    }

    /// - Throws: ENOTEMPTY when there is a subvolume in it.
    public static func destroy(_ name: String, at directory: Int32) throws(SystemError) {
        try call("remove subvolume", 0x5000_940F, directory, name, source: 0)
    }

    /// struct btrfs_ioctl_vol_args: a descriptor in 8 bytes, a name in 4088.
    private static func call(
        _ operation: String, _ request: UInt, _ directory: Int32, _ name: String, source: Int32
    ) throws(SystemError) {
        var arguments = [UInt8](repeating: 0, count: 4096)
        guard name.utf8.count < 4088 else { throw SystemError(operation, name, Errno(ENAMETOOLONG)) }
        withUnsafeBytes(of: Int64(source)) { arguments.replaceSubrange(0..<8, with: $0) }
        arguments.replaceSubrange(8..<8 + name.utf8.count, with: name.utf8)
        _ = try checked(operation, name) {
            arguments.withUnsafeMutableBytes { linux_ioctl(directory, request, $0.baseAddress) }
        }
    }
}
