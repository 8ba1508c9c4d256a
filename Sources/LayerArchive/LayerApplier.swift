public import LinuxSystem

/// Unpacks a layer's tar archive into a directory, exactly: owners, modes,
/// times to the nanosecond, hard links, holes, extended attributes, devices.
///
/// The archive is not trusted. Every path is resolved by the kernel within
/// the root (openat2(2), RESOLVE_IN_ROOT): a symbolic link on the way leads
/// where it would lead in the container, never out; the last component is
/// never followed. Nobody else may write to the tree meanwhile.
public struct LayerApplier {
    /// What becomes of the entries that stand for removals
    /// (OCI Image Specification, layer.md, "Whiteouts").
    public enum Whiteouts: Sendable {
        /// For a directory that overlay mounts as a layer: character devices
        /// 0:0 and the attribute `trusted.overlay.opaque`.
        case overlay
        /// For a tree that holds the lower layers: the files are removed.
        case remove
        /// For an archive that is no layer: a name is a name.
        case none
    }

    public struct Options: Sendable {
        public var whiteouts: Whiteouts
        /// Entries, more are refused.
        public var maximumEntries: Int
        /// Bytes of files' contents, more are refused; nil for no bound.
        public var maximumBytes: Int64?
        /// Nothing takes a directory's place, and no directory that of something else.
        public var keepsDirectories = false
        /// Sees each entry first, and may change it.
        public var adjust: (@Sendable (inout TarEntry) throws -> Void)?

        public init(whiteouts: Whiteouts, maximumEntries: Int = 4_000_000, maximumBytes: Int64? = nil) {
            self.whiteouts = whiteouts
            self.maximumEntries = maximumEntries
            self.maximumBytes = maximumBytes
        }
    }

    public struct Outcome: Sendable, Equatable {
        /// Entries of the archive, whiteouts among them.
        public var entries = 0
        /// Bytes of files' contents, holes not counted.
        public var bytes: Int64 = 0
        /// Attributes that the file system does not take.
        public var refusedAttributes = 0
        /// The layer hides all layers below, at the root itself. overlay does
        /// not look there: whoever mounts leaves them out.
        public var isOpaque = false
        /// Directories that entries stand in and that have no entry: 0755 and
        /// root's, unless whoever unites the layers knows better from a lower
        /// one. Paths below the root, parents first.
        public var implied: [[UInt8]] = []
    }

    /// Unpacks a plain tar archive into an open directory and reads the source to its end.
    /// - Throws: `ArchiveError`, and what the source throws. What was unpacked until then stays.
    @discardableResult
    public static func apply(
        _ source: any ByteSource, to root: borrowing Descriptor, options: Options
    ) throws -> Outcome {
        let reader = TarReader(source)
        let application = try LayerApplication(root: root.raw, options: options)
        while let entry = try reader.next() { try application.apply(entry, reader) }
        try application.finish()
        application.outcome.implied = application.directories.implied.values.sorted {
            $0.lexicographicallyPrecedes($1)
        }
        try reader.drain()
        return application.outcome
    }
}

/// One layer on its way into a tree.
final class LayerApplication {
    let root: Int32
    let options: LayerApplier.Options
    var outcome = LayerApplier.Outcome()
    let directories: DirectoryCache
    let umask: mode_t
    let user: uid_t
    let group: gid_t
    /// Directories whose times and default ACLs wait until all is unpacked:
    /// what is made in them would change the one and inherit the other.
    var finishing: [UnfinishedDirectory] = []
    /// Made for a layer with many files.
    var filler: FileFiller?
    var smallFiles = 0
    /// With `.remove`: what this layer made, and the directories above it, which its whiteouts spare.
    var made: Set<EntryPath> = []
    /// Bytes of the paths of implied directories: one entry's path implies two thousand.
    private static let maximumImplied = 64 << 20

    struct UnfinishedDirectory {
        var path: EntryPath
        var device: dev_t
        var inode: ino_t
        var accessed: Timestamp
        var modified: Timestamp
        var defaultACL: ExtendedAttributes.Attribute?
    }

    init(root: Int32, options: LayerApplier.Options) throws {
        self.root = root
        self.options = options
        directories = try DirectoryCache(root: root)
        umask = FileMetadata.umask()
        user = geteuid()
        group = getegid()
    }

    func apply(_ original: TarEntry, _ reader: TarReader) throws {
        var entry = original
        try options.adjust?(&entry)
        outcome.entries += 1
        if outcome.entries > options.maximumEntries {
            throw ArchiveError(.limitExceeded, "more than \(options.maximumEntries) entries")
        }
        let path = try EntryPath(entry.name, in: entry)
        if options.whiteouts != .none {
            switch try Whiteout(path, in: entry) {
            case nil: break
            case .ignored: return
            case .opaque: return try applyOpaque(path.parent, entry)
            case .removal(let name): return try applyRemoval(path.replacingBase(name), entry)
            }
        }
        if options.whiteouts == .remove { remember(path) }
        if entry.kind == .directory { return try makeDirectory(entry, path) }
        if path.isRoot {
            throw ArchiveError(.unsafeEntry, "the root as something other than a directory", on: entry.text)
        }
        let parent = try self.parent(of: path, for: entry)
        switch entry.kind {
        case .regular: try makeFile(entry, path, in: parent, reader)
        case .hardLink: try makeHardLink(entry, path, in: parent)
        case .symbolicLink: try makeSymbolicLink(entry, path, in: parent)
        case .characterDevice, .blockDevice, .fifo: try makeNode(entry, path, in: parent)
        case .directory: break
        }
    }

    /// The open directory that an entry stands in; made if it is missing.
    func parent(of path: EntryPath, for entry: TarEntry) throws -> OpenDirectory {
        let parent = try attempt("open the parent directory of", entry) { () throws(SystemError) in
            try directories.parent(of: path, make: true)!
        }
        guard directories.impliedBytes <= Self.maximumImplied else {
            throw ArchiveError(
                .limitExceeded, "too many directories without an entry of their own", on: entry.text)
        }
        return parent
    }

    private func remember(_ path: EntryPath) {
        var path = path
        while made.insert(path).inserted, !path.isRoot { path = path.parent }
    }

    func finish() throws {
        if let filler { outcome.refusedAttributes += try filler.finish() }
        for directory in finishing {
            // It may be gone, or another by now: then its own entry comes later in the list.
            guard
                let opened = try? File.openRaw(
                    directory.path.openable, inRoot: root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
                let status = try? FD.stat(opened.raw),
                status.st_dev == directory.device, status.st_ino == directory.inode
            else { continue }
            let entry = TarEntry(.directory, directory.path.description)
            if let acl = directory.defaultACL {
                outcome.refusedAttributes += try setAttribute(opened.raw, acl, entry)
            }
            try attempt("set the times of", entry) { () throws(SystemError) in
                try FileMetadata.setTimes(
                    opened.raw, accessed: directory.accessed, modified: directory.modified)
            }
        }
        finishing = []
    }
}

/// Runs system calls and tells on which entry they failed.
@inline(__always)
func attempt<Value: ~Copyable>(
    _ what: @autoclosure () -> String, _ entry: TarEntry, _ body: () throws(SystemError) -> Value
) throws(ArchiveError) -> Value {
    do throws(SystemError) {
        return try body()
    } catch {
        throw ArchiveError(.fileSystem, "cannot \(what()) the entry", on: entry.text, cause: error)
    }
}
