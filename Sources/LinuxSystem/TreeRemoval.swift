/// rm -rf, for trees that others filled: names are bytes, nothing is
/// followed, and neither depth nor width costs descriptors or stack. The way
/// back up is `..`, checked by inode, so the caller keeps others from moving
/// directories about in the tree meanwhile.
public enum TreeRemoval {
    /// Removes a file or a whole tree. A name that is not there is no error.
    /// - Returns: Whether there was something to remove.
    /// - Throws: ETIME when the deadline came first; what is left can be removed later.
    @discardableResult
    public static func remove(
        _ name: UnsafePointer<CChar>, at directory: Int32, until deadline: Deadline = .never
    ) throws(SystemError) -> Bool {
        if unlinkat(directory, name, 0) == 0 { return true }
        switch Errno.current {
        case .noEntry: return false
        // EPERM as well: POSIX has it for directories (unlink(2)).
        case .isDirectory, .notPermitted: break
        case let errno: throw SystemError("remove", String(cString: name), errno)
        }
        if unlinkat(directory, name, AT_REMOVEDIR) == 0 { return true }
        switch Errno.current {
        case .noEntry: return false
        case .notEmpty, .exists: break
        case let errno: throw SystemError("remove", String(cString: name), errno)
        }
        try empty(try openDirectory(name, at: directory), deadline)
        try removeDirectory(name, at: directory)
        return true
    }

    /// Removes all that an open directory holds.
    public static func removeContents(of directory: Int32) throws(SystemError) {
        try empty(try openDirectory(".", at: directory), .never)
    }

    /// A directory on the way down.
    private struct Level {
        var device: dev_t
        var inode: ino_t
        /// The directories in it that still hold something; the last is the one being emptied.
        var children: [[CChar]]
    }

    private static func empty(_ top: consuming Descriptor, _ deadline: Deadline) throws(SystemError) {
        var current = top
        var levels = [try enter(current.raw, deadline)]
        while let child = levels[levels.count - 1].children.last {
            current = try openDirectory(child, at: current.raw)
            levels.append(try enter(current.raw, deadline))
            while levels.count > 1, levels[levels.count - 1].children.isEmpty {
                levels.removeLast()
                let level = levels[levels.count - 1]
                let parent = try openDirectory("..", at: current.raw)
                let status = try FD.stat(parent.raw)
                guard status.st_dev == level.device, status.st_ino == level.inode else {
                    throw SystemError("remove tree", "..", Errno(ESTALE))
                }
                try removeDirectory(levels[levels.count - 1].children.removeLast(), at: parent.raw)
                current = parent
            }
        }
    }

    /// Removes what is no directory, and empty directories.
    private static func enter(_ directory: Int32, _ deadline: Deadline) throws(SystemError) -> Level {
        let status = try FD.stat(directory)
        var level = Level(device: status.st_dev, inode: status.st_ino, children: [])
        for (index, entry) in try DirectoryListing(directory).entries.enumerated() {
            if index % 128 == 0, deadline.isOver { throw SystemError("remove", entry.text, Errno(ETIME)) }
            if entry.type != UInt8(DT_DIR) {
                if unlinkat(directory, entry.name, 0) == 0 { continue }
                let errno = Errno.current
                if errno == .noEntry { continue }
                guard errno == .isDirectory || errno == .notPermitted else {
                    throw SystemError("remove", entry.text, errno)
                }
            }
            if unlinkat(directory, entry.name, AT_REMOVEDIR) == 0 { continue }
            let errno = Errno.current
            if errno == .noEntry { continue }
            guard errno == .notEmpty || errno == .exists else {
                throw SystemError("remove", entry.text, errno)
            }
            level.children.append(entry.name)
        }
        return level
    }

    private static func removeDirectory(
        _ name: UnsafePointer<CChar>, at directory: Int32
    ) throws(SystemError) {
        _ = try retrying("remove", String(cString: name)) { unlinkat(directory, name, AT_REMOVEDIR) }
    }

    private static func openDirectory(_ name: UnsafePointer<CChar>, at directory: Int32) throws(SystemError)
        -> Descriptor
    {
        Descriptor(
            owning: try retrying("open", String(cString: name)) {
                openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            })
    }
}
