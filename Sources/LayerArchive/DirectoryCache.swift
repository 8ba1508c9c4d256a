import LinuxSystem

/// A directory of the tree, open, with what its children inherit.
final class OpenDirectory {
    let descriptor: Descriptor
    /// New children take its group, and new directories the bit (inode(7)).
    var isSetGroupID: Bool
    /// New children take its ACL instead of the umask (acl(5)).
    var hasDefaultACL: Bool
    fileprivate(set) var lastUse = 0

    var raw: Int32 { descriptor.raw }

    init(_ descriptor: consuming Descriptor) throws(SystemError) {
        let raw = descriptor.raw
        isSetGroupID = try FD.stat(raw).st_mode & mode_t(S_ISGID) != 0
        hasDefaultACL = try ExtendedAttributes.value(raw, AttributeName.defaultACL) != nil
        self.descriptor = descriptor
    }

    /// One that was just made, or stripped of its attributes.
    init(_ descriptor: consuming Descriptor, isSetGroupID: Bool) {
        self.descriptor = descriptor
        self.isSetGroupID = isSetGroupID
        hasDefaultACL = false
    }
}

/// The directories that were used last, so that a file costs no path look-up.
///
/// A descriptor stays right as long as no component of its path becomes
/// another directory: whoever removes a directory or a symbolic link calls `forget()`.
final class DirectoryCache {
    private static let capacity = 128
    private static let maximumLinks = 40
    private let root: Int32
    private var open: [EntryPath: OpenDirectory] = [:]
    private var last: (path: EntryPath, directory: OpenDirectory)?
    private var clock = 0
    /// What was made because something stands in it, by inode: the same
    /// directory has several paths where a link leads to it.
    private(set) var implied: [ino_t: [UInt8]] = [:]
    private(set) var impliedBytes = 0

    init(root: Int32) throws {
        self.root = root
    }

    func forget() {
        open.removeAll(keepingCapacity: true)
        last = nil
    }

    /// An entry tells of this directory.
    func isSaid(_ inode: ino_t) {
        if !implied.isEmpty { implied[inode] = nil }
    }

    func keep(_ directory: OpenDirectory, as path: EntryPath) {
        if open.count >= Self.capacity {
            let median = open.values.map(\.lastUse).sorted()[Self.capacity / 2]
            open = open.filter { $0.value.lastUse > median }
        }
        clock += 1
        directory.lastUse = clock
        open[path] = directory
    }

    /// The directory that a path's last component is or will be in.
    /// - Parameter make: Makes what is missing, as 0755 and root's; else nil for it.
    func parent(of path: EntryPath, make: Bool) throws(SystemError) -> OpenDirectory? {
        if let last, path.isSibling(of: last.path) { return last.directory }
        guard let directory = try directory(path.parent, make: make) else { return nil }
        last = (path, directory)
        return directory
    }

    func directory(_ path: EntryPath, make: Bool) throws(SystemError) -> OpenDirectory? {
        if let known = open[path] {
            clock += 1
            known.lastUse = clock
            return known
        }
        let directory: OpenDirectory
        do throws(SystemError) {
            directory = try OpenDirectory(
                try File.openRaw(path.openable, inRoot: root, O_RDONLY | O_DIRECTORY))
        } catch  where error.errno == .noEntry {
            if !make { return nil }
            directory = try OpenDirectory(try makeDirectories(path))
        }
        keep(directory, as: path)
        return directory
    }

    /// mkdir -p within the root. A dangling symbolic link on the way gets the
    /// directory that it points to, as it would in the container.
    private func makeDirectories(_ path: EntryPath) throws(SystemError) -> Descriptor {
        var current = try File.openRaw(EntryPath.root.openable, inRoot: root, O_RDONLY | O_DIRECTORY)
        // The way from the root to `current`, of directories only: where `..` leads back along.
        var way: [[CChar]] = []
        var ahead = Array(path.components.reversed())
        var links = 0
        while let name = ahead.popLast() {
            if name == [0x2E, 0x2E, 0] {
                _ = way.popLast()
                current = try File.openRaw(EntryPath.root.openable, inRoot: root, O_RDONLY | O_DIRECTORY)
                for step in way { current = try Self.step(step, in: current.raw) }
                continue
            }
            do throws(SystemError) {
                current = try Self.step(name, in: current.raw)
            } catch  where error.errno == .noEntry {
                let raw = current.raw
                _ = try retrying("make directory", path.description) { mkdirat(raw, name, 0o755) }
                current = try Self.step(name, in: raw)
                // Whatever the umask.
                try FileMetadata.setMode(current.raw, 0o755)
                let steps = (way + [name]).map { $0.dropLast().map { UInt8(bitPattern: $0) } }
                let path = Array(steps.joined(separator: [UInt8(ascii: "/")]))
                implied[try FD.stat(current.raw).st_ino] = path
                impliedBytes += path.count
            } catch  where error.errno == .notDirectory || error.errno == .loop {
                guard let target = Self.linkTarget(name, in: current.raw) else { throw error }
                links += 1
                if links > Self.maximumLinks {
                    throw SystemError("make directory", path.description, .loop)
                }
                if target.first == UInt8(ascii: "/") {
                    way = []
                    current = try File.openRaw(EntryPath.root.openable, inRoot: root, O_RDONLY | O_DIRECTORY)
                }
                let components = target.split(separator: UInt8(ascii: "/")).filter { $0 != [0x2E] }
                ahead += components.reversed().map { $0.map { CChar(bitPattern: $0) } + [0] }
                continue
            }
            way.append(name)
        }
        return current
    }

    private static func step(_ name: [CChar], in directory: Int32) throws(SystemError) -> Descriptor {
        Descriptor(
            owning: try retrying(
                "open", String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            ) {
                openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            })
    }

    private static func linkTarget(_ name: [CChar], in directory: Int32) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = buffer.withUnsafeMutableBytes {
            readlinkat(directory, name, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
        }
        return count > 0 ? Array(buffer[..<count]) : nil
    }
}
