/// Calls that name a file by a directory's descriptor and a path below it
/// (openat(2) and its family). `File.currentDirectory` as the directory makes
/// a relative path relative to the working directory, and an absolute path is
/// taken as it stands: never pass either for a path that an image or a
/// container wrote; use `open(beneath:)` or `open(inRoot:)` for those.
public enum File {
    public static let currentDirectory: Int32 = AT_FDCWD

    public static func open(
        _ path: String, at directory: Int32 = currentDirectory, _ flags: Int32 = O_RDONLY,
        mode: mode_t = 0o644
    ) throws(SystemError) -> Descriptor {
        Descriptor(
            owning: try retrying("open", path) { openat(directory, path, flags | O_CLOEXEC, mode) })
    }

    /// openat2(2) with RESOLVE_IN_ROOT: absolute paths, `..` and symbolic links
    /// resolve as they would after chroot(2) to `directory`. Magic links are refused.
    public static func open(
        inRoot path: String, at directory: Int32, _ flags: Int32 = O_RDONLY, mode: mode_t = 0
    ) throws(SystemError) -> Descriptor {
        try open2(
            path, at: directory, flags, mode, UInt64(RESOLVE_IN_ROOT) | UInt64(RESOLVE_NO_MAGICLINKS))
    }

    /// openat2(2) with RESOLVE_BENEATH: a path that would leave `directory` fails with EXDEV.
    public static func open(
        beneath path: String, at directory: Int32, _ flags: Int32 = O_RDONLY, mode: mode_t = 0,
        followLinks: Bool = true
    ) throws(SystemError) -> Descriptor {
        var resolve = UInt64(RESOLVE_BENEATH) | UInt64(RESOLVE_NO_MAGICLINKS)
        if !followLinks { resolve |= UInt64(RESOLVE_NO_SYMLINKS) }
        return try open2(path, at: directory, flags, mode, resolve)
    }

    /// Like `open(beneath:)`, and refuses to cross to another mount too.
    public static func open(
        onSameMount path: String, at directory: Int32, _ flags: Int32 = O_RDONLY
    ) throws(SystemError) -> Descriptor {
        try open2(
            path, at: directory, flags, 0,
            UInt64(RESOLVE_BENEATH) | UInt64(RESOLVE_NO_MAGICLINKS) | UInt64(RESOLVE_NO_XDEV))
    }

    private static func open2(
        _ path: String, at directory: Int32, _ flags: Int32, _ mode: mode_t, _ resolve: UInt64
    ) throws(SystemError) -> Descriptor {
        var how = open_how()
        how.flags = UInt64(UInt32(bitPattern: flags | O_CLOEXEC))
        how.mode = flags & (O_CREAT | O_TMPFILE & ~O_DIRECTORY) != 0 ? UInt64(mode) : 0
        how.resolve = resolve
        while true {
            let result = path.withCString { name in
                withUnsafeMutablePointer(to: &how) { how in
                    linux_syscall(
                        Int(SYS_openat2), Int(directory), Int(bitPattern: name), Int(bitPattern: how),
                        MemoryLayout<open_how>.size, 0, 0)
                }
            }
            if result >= 0 { return Descriptor(owning: Int32(result)) }
            let errno = Errno(Int32(-result))
            if errno == .noSystemCall {
                do throws(Errno) {
                    return try PathWalk.open(path, at: directory, flags, mode, resolve)
                } catch {
                    throw SystemError("open", path, error)
                }
            }
            // EAGAIN: a rename or mount raced with the look-up of a `..` (openat2(2)).
            if errno != .interrupted, errno != .again { throw SystemError("open", path, errno) }
        }
    }

    /// The whole of a file.
    /// - Throws: ENOENT and the rest of open(2), EFBIG above `limit` bytes.
    public static func read(
        _ path: String, at directory: Int32 = currentDirectory, limit: Int = 64 << 20
    ) throws(SystemError) -> [UInt8] {
        let file = try open(path, at: directory)
        do throws(SystemError) {
            return try FD.readAll(file.raw, limit: limit)
        } catch {
            throw SystemError(error.operation, path, error.errno)
        }
    }

    public static func readText(_ path: String, at directory: Int32 = currentDirectory) throws(SystemError)
        -> String
    {
        String(decoding: try read(path, at: directory), as: UTF8.self)
    }

    /// Writes into a file that exists (a sysctl, a cgroup's file), in one write(2).
    public static func write(
        _ text: String, to path: String, at directory: Int32 = currentDirectory
    ) throws(SystemError) {
        let file = try open(path, at: directory, O_WRONLY)
        var text = text
        let raw = file.raw
        var result: Result<Int, SystemError> = .success(0)
        text.withUTF8 { bytes in
            do throws(SystemError) {
                result = .success(
                    try retrying("write", path) { Glibc.write(raw, bytes.baseAddress, bytes.count) })
            } catch {
                result = .failure(error)
            }
        }
        _ = try result.get()
    }

    /// Replaces a file as a whole: readers see the old bytes or the new ones.
    /// - Parameter durable: the bytes and the name are on disk on return.
    public static func replace(
        _ path: String, at directory: Int32 = currentDirectory, with bytes: [UInt8],
        mode: mode_t = 0o644, durable: Bool = true
    ) throws(SystemError) {
        let temporary = "\(path).\(getpid())-\(gettid()).tmp"
        do throws(SystemError) {
            let file = try open(
                temporary, at: directory, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: mode)
            try FD.writeAll(file.raw, bytes)
            if durable { try FD.sync(file.raw) }
            try file.close()
            try rename(temporary, to: path, at: directory)
        } catch {
            try? unlink(temporary, at: directory)
            throw SystemError("write", path, error.errno)
        }
        if durable { try syncDirectory(of: path, at: directory) }
    }

    /// Makes the names in a path's directory durable.
    public static func syncDirectory(of path: String, at directory: Int32 = currentDirectory)
        throws(SystemError)
    {
        let parent = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let opened = try open(parent, at: directory, O_RDONLY | O_DIRECTORY)
        try FD.sync(opened.raw)
    }

    public static func rename(
        _ old: String, at oldDirectory: Int32 = currentDirectory, to new: String,
        at newDirectory: Int32? = nil
    ) throws(SystemError) {
        _ = try retrying("rename", "\(old) to \(new)") {
            renameat(oldDirectory, old, newDirectory ?? oldDirectory, new)
        }
    }

    public static func rename(_ old: String, to new: String, at directory: Int32) throws(SystemError) {
        try rename(old, at: directory, to: new, at: directory)
    }

    /// Gives a name to an open file, one without a name too (O_TMPFILE).
    /// - Throws: EEXIST when the name is taken.
    public static func link(_ file: Int32, to path: String) throws(SystemError) {
        _ = try retrying("link", path) {
            linkat(AT_FDCWD, "/proc/self/fd/\(file)", AT_FDCWD, path, AT_SYMLINK_FOLLOW)
        }
    }

    public static func unlink(_ path: String, at directory: Int32 = currentDirectory) throws(SystemError) {
        _ = try retrying("unlink", path) { unlinkat(directory, path, 0) }
    }

    public static func removeDirectory(_ path: String, at directory: Int32 = currentDirectory)
        throws(SystemError)
    {
        _ = try retrying("rmdir", path) { unlinkat(directory, path, AT_REMOVEDIR) }
    }

    public static func makeDirectory(
        _ path: String, at directory: Int32 = currentDirectory, mode: mode_t = 0o755
    ) throws(SystemError) {
        _ = try retrying("mkdir", path) { mkdirat(directory, path, mode) }
    }

    /// mkdir -p. Only for paths that we choose ourselves.
    public static func makeDirectories(_ path: String, mode: mode_t = 0o755) throws(SystemError) {
        do throws(SystemError) {
            try makeDirectory(path, mode: mode)
        } catch  where error.errno == .exists {
            return
        } catch  where error.errno == .noEntry {
            guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { throw error }
            try makeDirectories(String(path[..<slash]), mode: mode)
            do throws(SystemError) {
                try makeDirectory(path, mode: mode)
            } catch  where error.errno == .exists {}
        }
    }

    public static func makeSymbolicLink(
        to target: String, _ path: String, at directory: Int32 = currentDirectory
    ) throws(SystemError) {
        _ = try retrying("symlink", path) { symlinkat(target, directory, path) }
    }

    public static func readLink(_ path: String, at directory: Int32 = currentDirectory) throws(SystemError)
        -> String
    {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = try retrying("readlink", path) {
            buffer.withUnsafeMutableBytes {
                readlinkat(directory, path, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
            }
        }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }

    /// fstatat(2).
    public static func status(
        _ path: String, at directory: Int32 = currentDirectory, followLinks: Bool = true
    ) throws(SystemError) -> stat {
        var status = stat()
        _ = try retrying("stat", path) {
            fstatat(directory, path, &status, followLinks ? 0 : AT_SYMLINK_NOFOLLOW)
        }
        return status
    }

    public static func exists(_ path: String, at directory: Int32 = currentDirectory) -> Bool {
        faccessat(directory, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0
    }

    /// The names in a directory, without `.` and `..`, in no order.
    public static func names(in path: String, at directory: Int32 = currentDirectory) throws(SystemError)
        -> [String]
    {
        let opened = try open(path, at: directory, O_RDONLY | O_DIRECTORY)
        return try names(inDirectory: opened.raw)
    }

    /// The names in an open directory, read anew from its start.
    public static func names(inDirectory fd: Int32) throws(SystemError) -> [String] {
        let copy = try open(".", at: fd, O_RDONLY | O_DIRECTORY)
        guard let stream = fdopendir(copy.raw) else { throw SystemError("opendir", "", .current) }
        _ = copy.take()
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            linux_set_errno(0)
            guard let entry = readdir(stream) else {
                let errno = Errno.current
                if errno.rawValue != 0 { throw SystemError("readdir", "", errno) }
                return names
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }

    /// rm -rf, by descriptors: nothing outside is touched whatever the links within say.
    /// A name that is not there is no error.
    public static func removeTree(_ path: String, at directory: Int32 = currentDirectory) throws(SystemError)
    {
        do throws(SystemError) {
            try unlink(path, at: directory)
        } catch  where error.errno == .noEntry {
        } catch  where error.errno == .isDirectory || error.errno == .notPermitted {
            let opened = try open(path, at: directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            for name in try names(inDirectory: opened.raw) { try removeTree(name, at: opened.raw) }
            do throws(SystemError) {
                try removeDirectory(path, at: directory)
            } catch  where error.errno == .noEntry {}
        }
    }
}
