import LinuxSystem

/// Two trees, walked in step. No directory stays open, so depth costs nothing.
final class TreeComparison {
    private let tree: Int32
    private let base: Int32
    private let isOverlay: Bool
    private var changes: [[UInt8]: TreeChange] = [:]
    /// Files with several names, in trees without an overlay's notes: a layer
    /// that has one name of such a file needs them all.
    private var groups: [FileIdentity: Group] = [:]
    /// Which of the base's files with several names each of the tree's was, and what became of those.
    private var origins: [FileIdentity: FileIdentity] = [:]
    private var successors: [FileIdentity: FileIdentity] = [:]
    /// Paths that are not looked at, nor what is below them.
    private let masked: Set<[UInt8]>
    /// Of the tree.
    var owners = TreeOwners.same

    private struct Group {
        var paths: [[UInt8]] = []
        var isChanged = false
    }

    /// A directory of the tree to look into.
    private struct Step {
        var path: [UInt8]
        var isInBase: Bool
        /// What is not in the tree is gone, and not merely below.
        var isWhole: Bool
    }

    init(tree: Int32, base: Int32, isOverlay: Bool, masked: Set<[UInt8]> = []) {
        self.tree = tree
        self.base = base
        self.isOverlay = isOverlay
        self.masked = masked
    }

    func run() throws -> TreeChanges {
        let (list, root) = try attempt("compare", TarEntry(.directory, "the tree")) {
            () throws(SystemError) in
            let root = try File.openRaw(EntryPath.root.openable, inRoot: tree, O_RDONLY | O_DIRECTORY)
            let baseRoot = try File.openRaw(EntryPath.root.openable, inRoot: base, O_RDONLY | O_DIRECTORY)
            let isOpaque = isOverlay && TreeFile.isOpaque(root.raw)
            var waiting = [Step(path: [], isInBase: true, isWhole: !isOverlay || isOpaque)]
            while let step = waiting.popLast() { waiting += try compare(step) }
            for group in groups.values where group.isChanged {
                for path in group.paths where changes[path] == nil { mark(.changed, path) }
            }
            let list = changes.values.sorted { $0.path.lexicographicallyPrecedes($1.path) }
            return (list, try !TreeFile.sameMetadata(root.raw, baseRoot.raw, owners))
        }
        return TreeChanges(list, root: root)
    }

    /// Records a change, and that the directories above it are not as they were.
    private func mark(_ kind: TreeChange.Kind, _ path: [UInt8], isDirectory: Bool = false) {
        changes[path] = TreeChange(kind, path, isDirectory: isDirectory)
        var above = path[...]
        while let slash = above.lastIndex(of: UInt8(ascii: "/")) {
            above = above[..<slash]
            let parent = Array(above)
            if changes[parent] != nil { return }
            changes[parent] = TreeChange(.changed, parent, isDirectory: true)
        }
    }

    /// - Returns: the directories in it to look into.
    private func compare(_ step: Step) throws(SystemError) -> [Step] {
        guard let here = try TreeFile.directory(step.path, in: tree) else { return [] }
        let below = step.isInBase ? try TreeFile.directory(step.path, in: base) : nil
        let old =
            switch below {
            case .some(let below): below.raw
            case .none: Int32(-1)
            }
        var next: [Step] = []
        var names: Set<[CChar]> = []
        for item in try DirectoryListing(here.raw).entries {
            if step.isWhole { names.insert(item.name) }
            do throws(SystemError) {
                let path = Self.path(item, in: step.path)
                if let further = try compare(item, path, step, here.raw, old) { next.append(further) }
            } catch  where error.errno == .noEntry {
                // It vanished meanwhile.
            }
        }
        if step.isWhole, old >= 0 {
            for item in try DirectoryListing(old).entries where !names.contains(item.name) {
                let path = Self.path(item, in: step.path)
                guard !masked.contains(path), let status = TreeFile.status(item.name, in: old) else {
                    continue
                }
                mark(.deleted, path, isDirectory: TreeFile.isDirectory(status))
            }
        }
        return next
    }

    /// - Parameters:
    ///   - here: the open directory that has the item.
    ///   - below: the base's directory in its place; -1 for none.
    /// - Returns: what to look into, of a directory.
    private func compare(
        _ item: DirectoryListing.Entry, _ path: [UInt8], _ step: Step, _ here: Int32, _ below: Int32
    ) throws(SystemError) -> Step? {
        guard path.count < TarReader.maximumNameLength else {
            throw SystemError("compare", String(decoding: path.prefix(60), as: UTF8.self), .nameTooLong)
        }
        guard !masked.contains(path), let status = TreeFile.status(item.name, in: here) else { return nil }
        let old = below < 0 ? nil : TreeFile.status(item.name, in: below)
        let wasDirectory = old.map(TreeFile.isDirectory) ?? false
        if isOverlay, TreeFile.isWhiteout(item.name, status, in: here) {
            if old != nil { mark(.deleted, path, isDirectory: wasDirectory) }
            return nil
        }
        if status.st_mode & S_IFMT == S_IFSOCK { return nil }
        if TreeFile.isDirectory(status) {
            guard wasDirectory else {
                mark(old == nil ? .added : .changed, path, isDirectory: true)
                return Step(path: path, isInBase: false, isWhole: true)
            }
            guard let new = try TreeFile.directory(path, in: tree),
                let former = try TreeFile.directory(path, in: base)
            else { return nil }
            if changes[path] == nil, try !TreeFile.sameMetadata(new.raw, former.raw, owners) {
                mark(.changed, path, isDirectory: true)
            }
            let isOpaque = isOverlay && TreeFile.isOpaque(new.raw)
            return Step(path: path, isInBase: true, isWhole: step.isWhole || isOpaque)
        }
        // Whatever overlay has copied up counts as changed.
        var same = false
        if !isOverlay, let old { same = try TreeFile.isSame(item.name, status, here, old, below, owners) }
        if same, let old, max(status.st_nlink, old.st_nlink) > 1 {
            // The same names lead to one file as before.
            let (identity, origin) = (FileIdentity(status), FileIdentity(old))
            same = (origins[identity] ?? origin) == origin && (successors[origin] ?? identity) == identity
            if same { (origins[identity], successors[origin]) = (origin, identity) }
        }
        if !isOverlay, status.st_nlink > 1 {
            let identity = FileIdentity(status)
            groups[identity, default: Group()].paths.append(path)
            if !same { groups[identity]!.isChanged = true }
        }
        if !same { mark(old == nil ? .added : .changed, path) }
        return nil
    }

    private static func path(_ item: DirectoryListing.Entry, in directory: [UInt8]) -> [UInt8] {
        directory.isEmpty ? item.bytes : directory + [UInt8(ascii: "/")] + item.bytes
    }
}

struct FileIdentity: Hashable {
    var device: dev_t
    var inode: ino_t

    init(_ status: stat) {
        device = status.st_dev
        inode = status.st_ino
    }
}

/// What there is to ask of a file in a tree, by its directory's descriptor and its name.
enum TreeFile {
    static func isDirectory(_ status: stat) -> Bool { status.st_mode & S_IFMT == S_IFDIR }

    /// Nil for one that is gone.
    static func status(_ name: [CChar], in directory: Int32) -> stat? {
        var status = stat()
        return fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? status : nil
    }

    /// Nil for what is gone, or no directory any more.
    static func directory(_ path: [UInt8], in root: Int32) throws(SystemError) -> Descriptor? {
        let name = path.isEmpty ? EntryPath.root.openable : path.map { CChar(bitPattern: $0) } + [0]
        do throws(SystemError) {
            return try File.openRaw(name, beneath: root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        } catch  where error.errno == .noEntry || error.errno == .notDirectory || error.errno == .loop {
            return nil
        }
    }

    /// Both ways in which overlay notes a removal (overlayfs.rst, "whiteouts and opaque directories").
    static func isWhiteout(_ name: [CChar], _ status: stat, in directory: Int32) -> Bool {
        switch status.st_mode & S_IFMT {
        case S_IFCHR: return status.st_rdev == 0
        case S_IFREG where status.st_size == 0:
            return (try? ExtendedAttributes.value(of: name, at: directory, AttributeName.overlayWhiteout))
                ?? nil
                != nil
        default: return false
        }
    }

    static func isOpaque(_ directory: Int32) -> Bool {
        (try? ExtendedAttributes.value(directory, AttributeName.overlayOpaque)) ?? nil == [UInt8(ascii: "y")]
    }

    /// Owner, mode, time and attributes of two open directories.
    /// - Parameter owners: whose the first is.
    static func sameMetadata(
        _ one: Int32, _ other: Int32, _ owners: TreeOwners
    ) throws(SystemError) -> Bool {
        let (left, right) = (try FD.stat(one), try FD.stat(other))
        let owner = try owners.inImage(of: one)
        guard left.st_mode == right.st_mode, owner.map({ $0 == (right.st_uid, right.st_gid) }) == true,
            Timestamp(left.st_mtim) == Timestamp(right.st_mtim)
        else {
            return false
        }
        func attributes(_ file: Int32) throws(SystemError) -> [[UInt8]: [UInt8]] {
            var found: [[UInt8]: [UInt8]] = [:]
            for name in try ExtendedAttributes.names(file) where AttributeName.isPortable(name) {
                guard let value = try ExtendedAttributes.value(file, name),
                    let attribute = owners.inImage(.init(name: name, value: value))
                else { continue }
                found[attribute.name] = attribute.value
            }
            return found
        }
        return try attributes(one) == attributes(other)
    }

    /// Whether two files that are no directories are alike in everything that a layer can say
    /// of them, but for their other names.
    /// - Parameter owners: whose the first is.
    static func isSame(
        _ name: [CChar], _ status: stat, _ directory: Int32, _ otherStatus: stat, _ otherDirectory: Int32,
        _ owners: TreeOwners
    ) throws(SystemError) -> Bool {
        guard Timestamp(status.st_mtim) == Timestamp(otherStatus.st_mtim) else { return false }
        if owners.isPlaceholder(status, for: otherStatus) { return true }
        guard status.st_mode == otherStatus.st_mode, status.st_size == otherStatus.st_size,
            status.st_rdev == otherStatus.st_rdev,
            try owners.isOwner(of: name, status, directory, otherStatus)
        else { return false }
        func attributes(_ directory: Int32) throws(SystemError) -> [[UInt8]: [UInt8]] {
            var found: [[UInt8]: [UInt8]] = [:]
            for key in try ExtendedAttributes.names(of: name, at: directory)
            where AttributeName.isPortable(key) {
                guard let value = try ExtendedAttributes.value(of: name, at: directory, key),
                    let attribute = owners.inImage(.init(name: key, value: value))
                else { continue }
                found[attribute.name] = attribute.value
            }
            return found
        }
        guard try attributes(directory) == attributes(otherDirectory) else { return false }
        switch status.st_mode & S_IFMT {
        case S_IFLNK: return linkTarget(name, in: directory) == linkTarget(name, in: otherDirectory)
        case S_IFREG where status.st_size > 0:
            return try sameContents(open(name, in: directory), open(name, in: otherDirectory))
        default: return true
        }
    }

    private static func open(_ name: [CChar], in directory: Int32) throws(SystemError) -> Descriptor {
        Descriptor(
            owning: try retrying("open", "") {
                openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
            })
    }

    private static func linkTarget(_ name: [CChar], in directory: Int32) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = buffer.withUnsafeMutableBytes {
            readlinkat(directory, name, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
        }
        return Array(buffer[..<max(count, 0)])
    }

    private static func sameContents(
        _ one: borrowing Descriptor, _ other: borrowing Descriptor
    ) throws(SystemError) -> Bool {
        let half = streamBufferSize
        let buffer = StreamBuffer(2 * half)
        while true {
            let count = try fill(UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<half]), one.raw)
            let second = try fill(UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[half...]), other.raw)
            guard count == second else { return false }
            if count == 0 { return true }
            guard memcmp(buffer.bytes.baseAddress!, buffer.bytes.baseAddress! + half, count) == 0 else {
                return false
            }
        }
    }

    private static func fill(_ buffer: UnsafeMutableRawBufferPointer, _ file: Int32) throws(SystemError)
        -> Int
    {
        var done = 0
        while done < buffer.count {
            let count = try FD.read(file, into: UnsafeMutableRawBufferPointer(rebasing: buffer[done...]))
            if count == 0 { break }
            done += count
        }
        return done
    }
}
