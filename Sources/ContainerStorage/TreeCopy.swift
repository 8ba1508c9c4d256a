import LayerArchive
import LinuxSystem

/// Copies of trees with all that a layer can say of a file: owner, mode,
/// times, extended attributes, hard links, devices, holes.
///
/// The source is walked by descriptors and its links are not followed. The
/// target is ours alone while it is made.
struct TreeCopy: ~Copyable {
    /// The first copies of files that have more names: paths below the target.
    private var linked: [FileIdentity: [CChar]] = [:]
    private let target: Int32

    private struct FileIdentity: Hashable {
        var device: dev_t
        var inode: ino_t
    }

    /// Whether directories keep what overlay notes of them, which holds for their layer alone.
    private let keepsNotes: Bool
    private let owners: TreeOwners

    private init(target: Int32, keepsNotes: Bool, owners: TreeOwners) {
        self.target = target
        self.keepsNotes = keepsNotes
        self.owners = owners
    }

    /// Copies what is in a directory, and the directory's own metadata, into
    /// an empty one. Hard links to outside the source become files of their own.
    /// - Parameter owners: whose the copies are; who can make no devices gets empty files for them.
    /// - Throws: EOVERFLOW for a file whose owner has no ID there (`TreeOwners.onDisk`).
    static func copy(
        contentsOf source: borrowing Descriptor, to target: borrowing Descriptor,
        keepingNotes: Bool = false, owners: TreeOwners = .same
    ) throws(SystemError) {
        var copy = TreeCopy(target: target.raw, keepsNotes: keepingNotes, owners: owners)
        try copy.directory(source.raw, to: target.raw, path: [], depth: 0)
    }

    /// - Parameter path: of the directory below the target, ending with a slash unless empty.
    private mutating func directory(
        _ source: Int32, to target: Int32, path: [CChar], depth: Int
    ) throws(SystemError) {
        for entry in try DirectoryListing(source).entries {
            try self.entry(entry.name, from: source, to: target, path: path + entry.name, depth: depth)
        }
        try Self.copyMetadata(
            from: source, to: target, keepingNotes: keepsNotes, owners: owners, Self.text(path))
    }

    private mutating func entry(
        _ name: [CChar], from source: Int32, to target: Int32, path: [CChar], depth: Int
    ) throws(SystemError) {
        var status = stat()
        _ = try retrying("stat", Self.text(path)) { fstatat(source, name, &status, AT_SYMLINK_NOFOLLOW) }
        let kind = status.st_mode & S_IFMT
        if kind == S_IFDIR {
            // Each level holds two descriptors.
            guard depth < 200 else {
                throw SystemError("copy directory", Self.text(path), Errno(ENAMETOOLONG))
            }
            let from = try Self.open(name, source, O_RDONLY | O_DIRECTORY)
            _ = try retrying("mkdir", Self.text(path)) { mkdirat(target, name, 0o700) }
            let to = try Self.open(name, target, O_RDONLY | O_DIRECTORY)
            let below = path.dropLast() + [CChar(bitPattern: UInt8(ascii: "/"))]
            return try directory(from.raw, to: to.raw, path: Array(below), depth: depth + 1)
        }
        let identity = FileIdentity(device: status.st_dev, inode: status.st_ino)
        if status.st_nlink > 1 {
            if let first = linked[identity] {
                let root = self.target
                _ = try retrying("link", Self.text(path)) { linkat(root, first, target, name, 0) }
                return
            }
            linked[identity] = path
        }
        switch kind {
        case S_IFREG:
            let from = try Self.open(name, source, O_RDONLY | O_NOCTTY)
            let to = try Self.open(name, target, O_WRONLY | O_CREAT | O_EXCL)
            try FileCopy.copy(from: from.raw, to: to.raw, size: Int(status.st_size))
            return try Self.copyMetadata(from: from.raw, to: to.raw, owners: owners, Self.text(path))
        case S_IFCHR where owners.areNoted, S_IFBLK where owners.areNoted:
            return try placeholder(name, status, at: target, Self.text(path))
        case S_IFLNK: try Self.copyLink(name, from: source, to: target)
        default:
            _ = try retrying("mknod", Self.text(path)) {
                mknodat(target, name, status.st_mode, status.st_rdev)
            }
        }
        // By name: opened, a device would act and a fifo would wait.
        let owner = try owners.onDisk(status.st_uid, status.st_gid, Self.text(path))
        try FileMetadata.setOwner(of: name, at: target, owner.user, owner.group)
        if kind != S_IFLNK { try FileMetadata.setMode(of: name, at: target, status.st_mode & 0o7777) }
        for attribute in try ExtendedAttributes.names(of: name, at: source) {
            guard let value = try ExtendedAttributes.value(of: name, at: source, attribute),
                let made = owners.onDisk(.init(name: attribute, value: value))
            else { continue }
            try Self.tolerating { () throws(SystemError) in
                try ExtendedAttributes.set(of: name, at: target, made)
            }
        }
        try FileMetadata.setTimes(
            of: name, at: target, accessed: Timestamp(status.st_atim), modified: Timestamp(status.st_mtim))
    }

    /// What stands for a device: an empty file.
    private func placeholder(
        _ name: [CChar], _ status: stat, at target: Int32, _ path: String
    ) throws(SystemError) {
        let made = try Self.open(name, target, O_WRONLY | O_CREAT | O_EXCL)
        let owner = try owners.onDisk(status.st_uid, status.st_gid, path)
        try FileMetadata.setOwner(made.raw, owner.user, owner.group)
        try FileMetadata.setMode(made.raw, status.st_mode & 0o7777)
        if let note = owners.noted(status.st_uid, status.st_gid) {
            try ExtendedAttributes.set(made.raw, note)
        }
        try FileMetadata.setTimes(
            made.raw, accessed: Timestamp(status.st_atim), modified: Timestamp(status.st_mtim))
    }

    private static func copyLink(_ name: [CChar], from source: Int32, to target: Int32) throws(SystemError) {
        var text = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = try retrying("readlink", Self.text(name)) {
            readlinkat(source, name, &text, text.count - 1)
        }
        text[count] = 0
        _ = try retrying("symlink", Self.text(name)) { symlinkat(text, target, name) }
    }

    private static func open(_ name: [CChar], _ directory: Int32, _ flags: Int32) throws(SystemError)
        -> Descriptor
    {
        Descriptor(
            owning: try retrying("open", text(name)) {
                openat(directory, name, flags | O_NOFOLLOW | O_CLOEXEC, 0o600)
            })
    }

    /// In this order: chown(2) takes set-user-ID bits and file capabilities
    /// away, and every change sets a time. What overlay notes of a directory
    /// holds for its layer alone.
    static func copyMetadata(
        from source: Int32, to target: Int32, keepingNotes: Bool = false, owners: TreeOwners = .same,
        _ path: String = ""
    ) throws(SystemError) {
        let status = try FD.stat(source)
        let owner = try owners.onDisk(status.st_uid, status.st_gid, path)
        try FileMetadata.setOwner(target, owner.user, owner.group)
        try FileMetadata.setMode(target, status.st_mode & 0o7777)
        for attribute in try ExtendedAttributes.names(source)
        where keepingNotes || !attribute.starts(with: overlayNotes) {
            guard let value = try ExtendedAttributes.value(source, attribute),
                let made = owners.onDisk(.init(name: attribute, value: value))
            else { continue }
            try tolerating { () throws(SystemError) in try ExtendedAttributes.set(target, made) }
        }
        if let note = owners.noted(status.st_uid, status.st_gid) {
            try ExtendedAttributes.set(target, note)
        }
        try FileMetadata.setTimes(
            target, accessed: Timestamp(status.st_atim), modified: Timestamp(status.st_mtim))
    }

    private static let overlayNotes = Array("trusted.overlay.".utf8)

    /// A label of a security module that is not active here, or an attribute
    /// that this file system does not keep, is left out.
    private static func tolerating(_ body: () throws(SystemError) -> Void) throws(SystemError) {
        do throws(SystemError) {
            try body()
        } catch  where error.errno == .notSupported || error.errno == .notPermitted {}
    }

    private static func text(_ path: [CChar]) -> String {
        String(decoding: path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Copies of a file's bytes.
enum FileCopy {
    /// _IOW(0x94, 9, int), linux/fs.h.
    private static let ficlone: UInt = 0x4004_9409

    /// Shares extents where the file system can, keeps holes, and lets the
    /// kernel copy the rest.
    static func copy(from source: Int32, to target: Int32, size: Int) throws(SystemError) {
        if size == 0 { return }
        if linux_ioctl(target, ficlone, UnsafeMutableRawPointer(bitPattern: Int(source))) == 0 { return }
        var position = 0
        while position < size {
            let data = lseek(source, off_t(position), SEEK_DATA)
            if data < 0 {
                // ENXIO: a hole up to the end. Others: no such feature, all is data.
                if Errno.current.rawValue == ENXIO { break }
                try copyRange(from: source, to: target, start: position, count: size - position)
                break
            }
            let hole = lseek(source, data, SEEK_HOLE)
            let end = hole < 0 ? size : min(Int(hole), size)
            try copyRange(from: source, to: target, start: Int(data), count: end - Int(data))
            position = max(end, Int(data) + 1)
        }
        _ = try retrying("truncate") { ftruncate(target, off_t(size)) }
    }

    private static func copyRange(from source: Int32, to target: Int32, start: Int, count: Int)
        throws(SystemError)
    {
        var inOffset = start
        var outOffset = start
        let end = start + count
        while inOffset < end {
            let moved = copy_file_range(source, &inOffset, target, &outOffset, end - inOffset, 0)
            if moved > 0 { continue }
            if moved == 0 { return }
            let errno = Errno.current
            switch errno.rawValue {
            case EINTR: continue
            case EXDEV, EINVAL, ENOSYS, EOPNOTSUPP: return try pump(from: source, to: target, inOffset, end)
            default: throw SystemError("copy", "", errno)
            }
        }
    }

    private static func pump(from source: Int32, to target: Int32, _ start: Int, _ end: Int)
        throws(SystemError)
    {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 17, alignment: 16)
        defer { buffer.deallocate() }
        var position = start
        while position < end {
            let count = try retrying("read") {
                pread(source, buffer.baseAddress, min(buffer.count, end - position), off_t(position))
            }
            if count == 0 { return }
            var done = 0
            while done < count {
                done += try retrying("write") {
                    pwrite(target, buffer.baseAddress! + done, count - done, off_t(position + done))
                }
            }
            position += count
        }
    }
}
