import LinuxSystem

/// Copies a directory's content with its owners, modes and times into another
/// (`tmpcopyup`). Both are reached by descriptors; links are copied, not followed.
enum TreeCopy {
    private static let maximumDepth = 256

    static func copy(from source: Int32, to destination: Int32, depth: Int = 0) throws(SystemError) {
        guard depth < maximumDepth else { throw SystemError("copy", "directory", .loop) }
        for name in try File.names(in: ".", at: source) {
            let status = try File.status(name, at: source, followLinks: false)
            switch status.st_mode & S_IFMT {
            case S_IFDIR:
                try File.makeDirectory(name, at: destination, mode: status.st_mode & 0o7777)
                let from = try File.open(
                    beneath: name, at: source, O_RDONLY | O_DIRECTORY, followLinks: false)
                let to = try File.open(
                    beneath: name, at: destination, O_RDONLY | O_DIRECTORY, followLinks: false)
                try copy(from: from.raw, to: to.raw, depth: depth + 1)
            case S_IFREG:
                try copyFile(name, from: source, to: destination, mode: status.st_mode & 0o7777)
            case S_IFLNK:
                try File.makeSymbolicLink(to: try File.readLink(name, at: source), name, at: destination)
            default:
                _ = try retrying("mknod", name) {
                    mknodat(destination, name, status.st_mode, status.st_rdev)
                }
            }
            try copyMetadata(status, name, destination)
        }
        let status = try FD.stat(source)
        // A new mount's descriptor is of the O_PATH kind, which fchown(2) and fchmod(2) refuse.
        _ = try retrying("chown") { fchownat(destination, ".", status.st_uid, status.st_gid, 0) }
        _ = try retrying("chmod") { fchmodat(destination, ".", status.st_mode & 0o7777, 0) }
    }

    private static func copyFile(
        _ name: String, from source: Int32, to destination: Int32, mode: mode_t
    ) throws(SystemError) {
        // It may have been exchanged for a FIFO or a device since it was looked at.
        let from = try File.open(
            beneath: name, at: source, O_RDONLY | O_NONBLOCK | O_NOCTTY, followLinks: false)
        guard try FD.stat(from.raw).st_mode & S_IFMT == S_IFREG else {
            throw SystemError("copy", name, .invalid)
        }
        let to = try File.open(
            name, at: destination, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = try FD.read(from.raw, into: buffer)
            if count == 0 { return }
            try FD.writeAll(to.raw, UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    private static func copyMetadata(_ status: stat, _ name: String, _ directory: Int32) throws(SystemError) {
        _ = try retrying("chown", name) {
            fchownat(directory, name, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW)
        }
        // chown(2) clears the set-user-ID bits.
        if status.st_mode & S_IFMT != S_IFLNK {
            _ = try retrying("chmod", name) {
                fchmodat(directory, name, status.st_mode & 0o7777, AT_SYMLINK_NOFOLLOW)
            }
        }
        let times = [status.st_atim, status.st_mtim]
        _ = try retrying("utimensat", name) { utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW) }
    }
}
