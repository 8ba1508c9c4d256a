public import LinuxSystem

/// Writes a directory as a tar archive: names in byte order, each directory
/// ahead of what it holds, all metadata that `LayerApplier` restores. The same
/// tree gives the same bytes. Sockets are left out: a socket without its
/// process is nothing.
///
/// Links are not followed. A file that vanishes meanwhile is left out, and one
/// that becomes shorter while it is read is an error.
public enum LayerDiff {
    public struct Outcome: Sendable, Equatable {
        /// Entries of the archive, whiteouts among them.
        public var entries = 0
        /// Bytes of files' contents.
        public var bytes: Int64 = 0
    }

    /// Writes a whole tree.
    /// - Parameters:
    ///   - includesRoot: Whether the root's own metadata comes first, as `./`.
    ///   - latest: later times are written as this one.
    @discardableResult
    public static func write(
        tree root: borrowing Descriptor, to sink: any ByteSink, includesRoot: Bool = true,
        latest: Timestamp? = nil
    ) throws -> Outcome {
        try write(root.raw, to: sink, includesRoot: includesRoot, overlay: false, latest: latest)
    }

    /// Writes one file of a directory, or a whole directory under its name in it.
    /// - Parameter name: without a slash.
    @discardableResult
    public static func write(
        _ name: [UInt8], in directory: Int32, to sink: any ByteSink
    ) throws -> Outcome {
        let walk = TreeArchival(root: directory, writer: TarWriter(sink), overlay: false)
        walk.selection = LayerSelection(top: name)
        try walk.run(includesRoot: false)
        return walk.outcome
    }

    /// Writes what a tree has become since it was another, as an OCI layer.
    /// - Parameters:
    ///   - changes: the tree's own; in an overlay's upper directory, too.
    ///   - latest: later times are written as this one, so that the same
    ///     changes give the same bytes (reproducible-builds.org, SOURCE_DATE_EPOCH).
    ///   - owners: whose the tree's files are.
    @discardableResult
    public static func write(
        _ changes: TreeChanges, of root: borrowing Descriptor, to sink: any ByteSink,
        latest: Timestamp? = nil, owners: TreeOwners = .same
    ) throws -> Outcome {
        let walk = TreeArchival(root: root.raw, writer: TarWriter(sink), overlay: true)
        walk.owners = owners
        walk.selection = LayerSelection(changes)
        walk.latest = latest
        try walk.run(includesRoot: changes.root)
        return walk.outcome
    }

    /// Writes an overlay's upper directory as an OCI layer: what overlay notes
    /// as removed becomes `.wh.` entries. The overlay must not have been
    /// mounted with `redirect_dir` or `metacopy`, which leave files elsewhere.
    @discardableResult
    public static func write(overlayUpper root: borrowing Descriptor, to sink: any ByteSink) throws -> Outcome
    {
        try write(root.raw, to: sink, includesRoot: false, overlay: true)
    }

    private static func write(
        _ root: Int32, to sink: any ByteSink, includesRoot: Bool, overlay: Bool, latest: Timestamp? = nil
    ) throws -> Outcome {
        let walk = TreeArchival(root: root, writer: TarWriter(sink), overlay: overlay)
        walk.latest = latest
        try walk.run(includesRoot: includesRoot)
        return walk.outcome
    }
}

/// One tree on its way into an archive.
final class TreeArchival {
    /// Directories on the way down that stay open; the others are opened again on the way up.
    private static let maximumOpen = 64

    private let root: Int32
    private let writer: TarWriter
    private let overlay: Bool
    private(set) var outcome = LayerDiff.Outcome()
    private var levels: [Level] = []
    /// Files with several names, by the first.
    private var linked: [FileIdentity: [UInt8]] = [:]
    /// Nil for everything.
    var selection: LayerSelection?
    /// Later times are written as this one.
    var latest: Timestamp?
    var owners = TreeOwners.same

    private final class Level {
        /// With a final slash, or empty for the root.
        let path: [UInt8]
        let entries: [DirectoryListing.Entry]
        let device: dev_t
        var next = 0
        var directory: Descriptor?

        init(
            path: [UInt8], entries: [DirectoryListing.Entry], device: dev_t, directory: consuming Descriptor
        ) {
            self.path = path
            self.entries = entries
            self.device = device
            self.directory = consume directory
        }

        var raw: Int32 {
            switch directory {
            case .some(let directory): directory.raw
            case .none: -1
            }
        }
    }

    init(root: Int32, writer: TarWriter, overlay: Bool) {
        self.root = root
        self.writer = writer
        self.overlay = overlay
    }

    func run(includesRoot: Bool) throws {
        let top = try attempt("open", []) { () throws(SystemError) in
            try File.openRaw(EntryPath.root.openable, inRoot: root, O_RDONLY | O_DIRECTORY)
        }
        if includesRoot {
            var entry = TarEntry(.directory, "./")
            try fill(&entry, try status(top.raw, entry.name), try note(top.raw, entry.name))
            entry.attributes = portable(try attributes(top.raw, entry.name))
            try add(entry)
        }
        try descend([], consume top)
        while let level = levels.last {
            guard level.next < level.entries.count else {
                levels.removeLast()
                continue
            }
            if level.raw < 0 { try reopen(level) }
            let item = level.entries[level.next]
            level.next += 1
            do {
                try archive(item, in: level)
            } catch let error as ArchiveError where error.cause?.errno == .noEntry {
                // It vanished since it was listed, and nothing of it has been written.
            }
        }
        try writer.finish()
    }

    private func descend(_ path: [UInt8], _ directory: consuming Descriptor) throws {
        let raw = directory.raw
        let listing = try attempt("list", path) { () throws(SystemError) in try DirectoryListing(raw) }
        var entries = listing.entries
        if let selection {
            entries.removeAll { !selection.contains(path + $0.bytes) }
            for name in selection.deleted(in: path) {
                try add(TarEntry(.regular, path + Array(".wh.".utf8) + name))
            }
        }
        entries.sort { $0.precedes($1) }
        let device = try status(raw, path).st_dev
        levels.append(Level(path: path, entries: entries, device: device, directory: directory))
        if levels.count > Self.maximumOpen { levels[levels.count - 1 - Self.maximumOpen].directory = nil }
    }

    private func reopen(_ level: Level) throws {
        level.directory = try attempt("open", level.path) { () throws(SystemError) in
            let path = level.path.isEmpty ? [UInt8(ascii: ".")] : level.path
            return try File.openRaw(
                path.map { CChar(bitPattern: $0) } + [0], beneath: root, O_RDONLY | O_DIRECTORY)
        }
    }

    // MARK: One file

    private func archive(_ item: DirectoryListing.Entry, in level: Level) throws {
        let path = level.path + item.bytes
        guard path.count < TarReader.maximumNameLength else {
            throw ArchiveError(
                .limitExceeded, "path of \(path.count) bytes",
                on: String(decoding: path.prefix(60), as: UTF8.self) + "…")
        }
        if overlay, item.name.starts(with: Whiteout.prefix) {
            throw ArchiveError(.unsupported, "a file with the name of a whiteout", on: text(path))
        }
        if item.type == UInt8(DT_REG) || item.type == UInt8(DT_DIR) {
            return try archiveOpened(item, path, level)
        }
        let status = try attempt("look at", path) { () throws(SystemError) in
            var status = stat()
            _ = try retrying("stat") { fstatat(level.raw, item.name, &status, AT_SYMLINK_NOFOLLOW) }
            return status
        }
        var entry: TarEntry
        switch status.st_mode & mode_t(S_IFMT) {
        case mode_t(S_IFREG), mode_t(S_IFDIR): return try archiveOpened(item, path, level)
        case mode_t(S_IFSOCK): return
        case mode_t(S_IFLNK):
            entry = TarEntry(.symbolicLink, path)
            entry.linkTarget = try linkTarget(item, path, level)
        case mode_t(S_IFCHR):
            if overlay, status.st_rdev == 0 { return try addWhiteout(item, level) }
            entry = TarEntry(.characterDevice, path)
        case mode_t(S_IFBLK): entry = TarEntry(.blockDevice, path)
        case mode_t(S_IFIFO): entry = TarEntry(.fifo, path)
        default: throw ArchiveError(.unsupported, "a file of unknown type", on: text(path))
        }
        try fill(&entry, status)
        if entry.kind == .characterDevice || entry.kind == .blockDevice {
            entry.deviceMajor = gnu_dev_major(status.st_rdev)
            entry.deviceMinor = gnu_dev_minor(status.st_rdev)
        }
        if try addAsLink(entry, status) { return }
        entry.attributes = try attempt("read the attributes of", path) { () throws(SystemError) in
            var attributes: [ExtendedAttributes.Attribute] = []
            for name in try ExtendedAttributes.names(of: item.name, at: level.raw)
            where AttributeName.isPortable(name) {
                if let value = try ExtendedAttributes.value(of: item.name, at: level.raw, name) {
                    attributes.append(.init(name: name, value: value))
                }
            }
            return portable(attributes)
        }
        try add(entry)
    }

    /// A regular file or a directory: opened first, then all is asked of the descriptor.
    private func archiveOpened(_ item: DirectoryListing.Entry, _ path: [UInt8], _ level: Level) throws {
        let file = try open(item, path, level)
        let status = try status(file.raw, path)
        let isDirectory = status.st_mode & mode_t(S_IFMT) == mode_t(S_IFDIR)
        guard isDirectory || status.st_mode & mode_t(S_IFMT) == mode_t(S_IFREG) else {
            throw ArchiveError(.changed, "the file was replaced while it was read", on: text(path))
        }
        var entry = TarEntry(
            isDirectory ? .directory : .regular, isDirectory ? path + [UInt8(ascii: "/")] : path)
        try fill(&entry, status, try note(file.raw, path))
        if !isDirectory, try addAsLink(entry, status) { return }
        let attributes = try attributes(file.raw, path)
        entry.attributes = portable(attributes)
        var isOpaque = false
        if overlay {
            for attribute in attributes where AttributeName.isOverlay(attribute.name) {
                switch attribute.name {
                case AttributeName.overlayOpaque: isOpaque = attribute.value == [UInt8(ascii: "y")]
                case AttributeName.overlayWhiteout: return try addWhiteout(item, level)
                case AttributeName.overlayRedirect, AttributeName.overlayMetacopy:
                    throw ArchiveError(
                        .unsupported, "the overlay left this file's contents elsewhere (\(attribute.text))",
                        on: text(path))
                default: break
                }
            }
        }
        if isDirectory {
            try add(entry)
            if status.st_dev != level.device, KernelFiles.are(on: file.raw) { return }
            if isOpaque, selection == nil {
                try add(TarEntry(.regular, entry.name + Array(".wh..wh..opq".utf8)))
            }
            return try descend(entry.name, file)
        }
        entry.size = Int64(status.st_size)
        try add(entry)
        var reader = HoleReader(file.raw, status)
        try writer.fillContents(of: entry) { buffer in
            try attempt("read", path) { () throws(SystemError) in try reader.read(into: buffer) }
        }
        outcome.bytes += entry.size
    }

    private func open(_ item: DirectoryListing.Entry, _ path: [UInt8], _ level: Level) throws -> Descriptor {
        try attempt("open", path) { () throws(SystemError) in
            // Not blocking: a fifo may have taken the file's place.
            let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
            let opened = openat(level.raw, item.name, flags | O_NOATIME)
            if opened >= 0 { return Descriptor(owning: opened) }
            let errno = Errno.current
            guard errno == .notPermitted || errno == .interrupted else {
                throw SystemError("open", "", errno)
            }
            // O_NOATIME is for a file's owner and root (open(2)).
            return Descriptor(owning: try retrying("open") { openat(level.raw, item.name, flags) })
        }
    }

    private func linkTarget(_ item: DirectoryListing.Entry, _ path: [UInt8], _ level: Level) throws -> [UInt8]
    {
        try attempt("read the link", path) { () throws(SystemError) in
            var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
            let count = try retrying("readlink") {
                buffer.withUnsafeMutableBytes {
                    readlinkat(
                        level.raw, item.name, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
                }
            }
            return Array(buffer[..<count])
        }
    }

    // MARK: Entries

    private func add(_ entry: TarEntry) throws {
        outcome.entries += 1
        try writer.begin(entry)
    }

    /// Writes a file's further names as links to its first.
    private func addAsLink(_ entry: TarEntry, _ status: stat) throws -> Bool {
        if status.st_nlink < 2 { return false }
        let identity = FileIdentity(status)
        guard let first = linked[identity] else {
            linked[identity] = entry.name
            return false
        }
        var link = entry
        link.kind = .hardLink
        link.linkTarget = first
        try add(link)
        return true
    }

    private func addWhiteout(_ item: DirectoryListing.Entry, _ level: Level) throws {
        try add(TarEntry(.regular, level.path + Array(".wh.".utf8) + item.bytes))
    }

    /// - Parameter note: what an attribute tells of the owner.
    private func fill(_ entry: inout TarEntry, _ status: stat, _ note: [UInt8]? = nil) throws {
        guard let owner = owners.inImage(status.st_uid, status.st_gid, note: note) else {
            throw ArchiveError(
                .unsupported,
                "it belongs to \(status.st_uid):\(status.st_gid), for whom the bundle's mappings have no ID",
                on: text(entry.name))
        }
        entry.mode = UInt32(status.st_mode) & 0o7777
        (entry.user, entry.group) = owner
        let modified = Timestamp(status.st_mtim)
        entry.modified = latest.map { min($0, modified) } ?? modified
    }

    private func status(_ file: Int32, _ path: [UInt8]) throws -> stat {
        try attempt("look at", path) { () throws(SystemError) in try FD.stat(file) }
    }

    private func note(_ file: Int32, _ path: [UInt8]) throws -> [UInt8]? {
        guard owners.areNoted else { return nil }
        return try attempt("read the attributes of", path) { () throws(SystemError) in
            try ExtendedAttributes.value(file, TreeOwners.note)
        }
    }

    /// As a layer has them.
    private func portable(_ attributes: [ExtendedAttributes.Attribute]) -> [ExtendedAttributes.Attribute] {
        attributes.filter { AttributeName.isPortable($0.name) }.compactMap(owners.inImage)
    }

    private func attributes(_ file: Int32, _ path: [UInt8]) throws -> [ExtendedAttributes.Attribute] {
        try attempt("read the attributes of", path) { () throws(SystemError) in
            var attributes: [ExtendedAttributes.Attribute] = []
            for name in try ExtendedAttributes.names(file) {
                if let value = try ExtendedAttributes.value(file, name) {
                    attributes.append(.init(name: name, value: value))
                }
            }
            return attributes
        }
    }

    private func text(_ path: [UInt8]) -> String { String(decoding: path, as: UTF8.self) }

    private func attempt<Value: ~Copyable>(
        _ what: String, _ path: [UInt8], _ body: () throws(SystemError) -> Value
    ) throws(ArchiveError) -> Value {
        do throws(SystemError) {
            return try body()
        } catch {
            throw ArchiveError(.fileSystem, "cannot \(what) the file", on: text(path), cause: error)
        }
    }
}

extension DirectoryListing.Entry {
    /// By bytes, whatever the locale.
    fileprivate func precedes(_ other: DirectoryListing.Entry) -> Bool {
        name.withUnsafeBufferPointer { mine in
            other.name.withUnsafeBufferPointer { strcmp(mine.baseAddress!, $0.baseAddress!) < 0 }
        }
    }
}
