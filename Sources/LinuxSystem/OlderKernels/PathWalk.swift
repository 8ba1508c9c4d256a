/// What openat2(2) does, one component at a time, for kernels before 5.6.
///
/// Every directory on the way is held by a descriptor, and `..` goes back to the one that we came
/// from, never to what the kernel takes for the parent by then: whoever renames directories
/// meanwhile cannot lead the walk above its root. Links are read and walked, never followed.
package struct PathWalk: ~Copyable {
    private let root: Int32
    private let resolve: UInt64
    /// From the first directory below the root to the current one.
    private var directories: [Int32] = []
    /// The components still to go, the next one last.
    private var rest: [[CChar]] = []
    private var endsInSlash = false
    private var links = 0

    /// As many as the kernel follows (path_resolution(7)).
    private static let maximumLinks = 40
    /// How often a name may change between two looks at it.
    private static let maximumRaces = 128
    private static let slash = CChar(UInt8(ascii: "/"))
    private static let dot = CChar(UInt8(ascii: "."))

    /// - Parameter resolve: `RESOLVE_…` bits, with RESOLVE_IN_ROOT or RESOLVE_BENEATH among them,
    ///   and RESOLVE_NO_MAGICLINKS meant always.
    package static func open(
        _ path: UnsafePointer<CChar>, at root: Int32, _ flags: Int32, _ mode: mode_t, _ resolve: UInt64
    ) throws(Errno) -> Descriptor {
        var walk = PathWalk(root: root, resolve: resolve)
        return try walk.run(path, flags | O_CLOEXEC, mode)
    }

    private init(root: Int32, resolve: UInt64) {
        self.root = root
        self.resolve = resolve
    }

    deinit { for directory in directories { _ = Glibc.close(directory) } }

    private func has(_ bit: Int32) -> Bool { resolve & UInt64(bit) != 0 }
    private var current: Int32 { directories.last ?? root }

    private mutating func run(
        _ path: UnsafePointer<CChar>, _ flags: Int32, _ mode: mode_t
    ) throws(Errno) -> Descriptor {
        guard path[0] != 0 else { throw .noEntry }
        try push(UnsafeBufferPointer(start: path, count: strlen(path)), isLink: false)
        var races = 0
        while let name = rest.popLast() {
            if name.count == 3, name[0] == Self.dot, name[1] == Self.dot {
                try goUp()
                continue
            }
            do throws(Errno) {
                if let opened = try step(name, flags, mode) { return opened }
            } catch  where error == .again {
                races += 1
                guard races < Self.maximumRaces else { throw error }
                rest.append(name)
            }
        }
        // It ended in `.`, `..` or nothing: in a directory that is held already.
        return try Self.open(at: current, [Self.dot, 0], flags & ~O_NOFOLLOW, mode)
    }

    /// - Returns: what was asked for, when this was the last component; else nil.
    /// - Throws: EAGAIN when the name came to mean something else.
    private mutating func step(_ name: [CChar], _ flags: Int32, _ mode: mode_t) throws(Errno) -> Descriptor? {
        let isLast = rest.isEmpty
        let followsLast = flags & O_NOFOLLOW == 0 || endsInSlash
        // Not even a directory that is there is one to make.
        if isLast, endsInSlash, flags & O_CREAT != 0 { throw Errno(EISDIR) }
        if isLast, flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL {
            return try Self.open(at: current, name, flags | O_NOFOLLOW, mode)
        }
        let found: Descriptor
        do throws(Errno) {
            found = try Self.open(at: current, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0)
        } catch  where error == .noEntry && isLast && flags & O_CREAT != 0 {
            do throws(Errno) {
                return try Self.open(at: current, name, flags | O_EXCL | O_NOFOLLOW, mode)
            } catch  where error == .exists {
                throw .again
            }
        }
        try refuseOtherMount(found.raw)
        let kind = try Self.kind(of: found.raw)
        if kind == S_IFLNK, !isLast || followsLast {
            try follow(found.raw)
            return nil
        }
        guard isLast else {
            guard kind == S_IFDIR else { throw .notDirectory }
            directories.append(found.take())
            return nil
        }
        if kind != S_IFDIR, endsInSlash || flags & O_DIRECTORY != 0 { throw .notDirectory }
        if flags & O_PATH != 0 { return found }
        if kind == S_IFLNK { throw .loop }
        do throws(Errno) {
            let opened = try Self.open(at: current, name, flags & ~O_CREAT | O_NOFOLLOW, mode)
            try refuseOtherMount(opened.raw)
            return opened
        } catch  where error == .loop || error == .noEntry && flags & O_CREAT != 0 {
            throw .again
        }
    }

    private mutating func goUp() throws(Errno) {
        if let last = directories.popLast() {
            _ = Glibc.close(last)
        } else if has(RESOLVE_BENEATH) {
            throw .crossDevice
        }
    }

    private mutating func follow(_ link: Int32) throws(Errno) {
        if has(RESOLVE_NO_SYMLINKS) { throw .loop }
        links += 1
        guard links <= Self.maximumLinks else { throw .loop }
        // procfs has its magic links everywhere but in its root.
        var status = statfs()
        guard fstatfs(link, &status) == 0 else { throw .current }
        if Int(status.f_type) == Procfs.magic {
            var above = stat()
            guard fstat(current, &above) == 0 else { throw .current }
            guard above.st_ino == 1 else { throw .loop }
        }
        var target = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlinkat(link, "", &target, target.count)
        guard count >= 0 else { throw .current }
        guard count > 0 else { throw .noEntry }
        try target.withUnsafeBufferPointer { (bytes) throws(Errno) in
            try push(UnsafeBufferPointer(rebasing: bytes[..<count]), isLink: true)
        }
    }

    /// Puts a path's components before those that are left.
    private mutating func push(_ path: UnsafeBufferPointer<CChar>, isLink: Bool) throws(Errno) {
        guard path.count < Int(PATH_MAX) else { throw Errno(ENAMETOOLONG) }
        if path.first == Self.slash {
            if has(RESOLVE_BENEATH) { throw .crossDevice }
            while let directory = directories.popLast() { _ = Glibc.close(directory) }
        }
        if !isLink || rest.isEmpty {
            let isDot = path.last == Self.dot && (path.count == 1 || path[path.count - 2] == Self.slash)
            endsInSlash = endsInSlash || path.last == Self.slash || isDot
        }
        for part in path.split(separator: Self.slash).reversed() {
            if part.count == 1, part.first == Self.dot { continue }
            rest.append(Array(part) + [0])
        }
    }

    private static func open(
        at directory: Int32, _ name: [CChar], _ flags: Int32, _ mode: mode_t
    ) throws(Errno) -> Descriptor {
        while true {
            let result = openat(directory, name, flags, mode)
            if result >= 0 { return Descriptor(owning: result) }
            if Errno.current != .interrupted { throw .current }
        }
    }

    private static func kind(of fd: Int32) throws(Errno) -> mode_t {
        var status = stat()
        guard fstat(fd, &status) == 0 else { throw .current }
        return status.st_mode & S_IFMT
    }

    private func refuseOtherMount(_ fd: Int32) throws(Errno) {
        guard has(RESOLVE_NO_XDEV) else { return }
        guard try MountIdentity(of: fd) == MountIdentity(of: root) else { throw .crossDevice }
    }
}

/// Which mount a descriptor lies on.
struct MountIdentity: Equatable {
    var device: UInt64
    /// 0 before Linux 5.8.
    var mount: UInt64

    init(of fd: Int32) throws(Errno) {
        var status = stat()
        guard fstat(fd, &status) == 0 else { throw .current }
        device = UInt64(status.st_dev)
        // struct statx (statx(2)): stx_mask first, stx_mnt_id at 144.
        let wantsMount: UInt32 = 0x1000
        var words = [UInt64](repeating: 0, count: 32)
        let result = words.withUnsafeMutableBytes { buffer in
            "".withCString {
                linux_syscall(
                    Int(SYS_statx), Int(fd), Int(bitPattern: $0), Int(AT_EMPTY_PATH), Int(wantsMount),
                    Int(bitPattern: buffer.baseAddress), 0)
            }
        }
        mount = result == 0 && UInt32(truncatingIfNeeded: words[0]) & wantsMount != 0 ? words[18] : 0
    }
}
