import LinuxSystem

/// What a name that starts with `.wh.` stands for
/// (OCI Image Specification, layer.md, "Whiteouts").
enum Whiteout {
    /// `.wh.NAME`: the lower layers' NAME is gone. The name with its NUL.
    case removal(ArraySlice<CChar>)
    /// `.wh..wh..opq`: all that the lower layers have in this directory is gone.
    case opaque
    /// aufs' own files (`.wh..wh.plnk`), which docker skips as well.
    case ignored

    static let prefix = Array(".wh.".utf8).map { CChar(bitPattern: $0) }
    private static let own = Array(".wh..wh.".utf8).map { CChar(bitPattern: $0) }
    private static let opaqueName = Array(".wh..wh..opq".utf8).map { CChar(bitPattern: $0) } + [0]

    /// Nil for any other name.
    init?(_ path: EntryPath, in entry: TarEntry) throws(ArchiveError) {
        let characters = path.characters
        let base = characters[path.baseStart...]
        if path.baseStart > 0,
            characters.starts(with: Self.prefix) || characters[..<path.baseStart].containsWhiteout
        {
            if characters.starts(with: Self.own) {
                self = .ignored
                return
            }
            throw ArchiveError(.unsafeEntry, "a whiteout as a directory", on: entry.text)
        }
        guard base.starts(with: Self.prefix) else { return nil }
        if base.elementsEqual(Self.opaqueName) {
            self = .opaque
        } else if base.starts(with: Self.own) {
            self = .ignored
        } else {
            let name = base.dropFirst(Self.prefix.count)
            // `.wh.`, `.wh..` and `.wh...` would remove nothing, the directory, its parent.
            if name.count == 1 || name.elementsEqual([0x2E, 0]) || name.elementsEqual([0x2E, 0x2E, 0]) {
                throw ArchiveError(.unsafeEntry, "a whiteout of no name", on: entry.text)
            }
            self = .removal(name)
        }
    }
}

extension ArraySlice<CChar> {
    /// Whether a component after the first starts with `.wh.`.
    fileprivate var containsWhiteout: Bool {
        let slash = CChar(bitPattern: UInt8(ascii: "/"))
        var rest = self
        while let cut = rest.firstIndex(of: slash) {
            rest = rest[(cut + 1)...]
            if rest.starts(with: Whiteout.prefix) { return true }
        }
        return false
    }
}

extension LayerApplication {
    func applyRemoval(_ path: EntryPath, _ entry: TarEntry) throws {
        switch options.whiteouts {
        case .overlay: try markRemoved(path, entry)
        case .remove: try remove(path, entry)
        case .none: break
        }
    }

    func applyOpaque(_ path: EntryPath, _ entry: TarEntry) throws {
        if path.isRoot { outcome.isOpaque = true }
        switch options.whiteouts {
        case .overlay:
            let directory = try attempt("open the directory of", entry) { () throws(SystemError) in
                try directories.directory(path, make: true)!
            }
            try markOpaque(directory.raw, entry)
        case .remove:
            try removeLowerContents(of: path, entry)
        case .none: break
        }
    }

    func markOpaque(_ directory: Int32, _ entry: TarEntry) throws {
        try attempt("apply", entry) { () throws(SystemError) in
            try ExtendedAttributes.set(
                directory, .init(name: AttributeName.overlayOpaque, value: [UInt8(ascii: "y")]))
        }
    }

    private func markRemoved(_ path: EntryPath, _ entry: TarEntry) throws {
        let parent = try self.parent(of: path, for: entry)
        try path.withBase { name in
            if mknodat(parent.raw, name, S_IFCHR, 0) == 0 { return }
            let errno = Errno.current
            guard errno == .exists else {
                throw ArchiveError(
                    .fileSystem, "cannot make a whiteout", on: entry.text,
                    cause: SystemError("mknod", path.description, errno))
            }
            // A whiteout is about lower layers: what this layer itself has
            // there stays, and a directory shows nothing from below.
            let opened = openat(parent.raw, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            if opened < 0 { return }
            let directory = Descriptor(owning: opened)
            try markOpaque(directory.raw, entry)
        }
    }

    private func remove(_ path: EntryPath, _ entry: TarEntry) throws {
        if made.contains(path) { return try removeLowerContents(of: path, entry) }
        try attempt("apply", entry) { () throws(SystemError) in
            do throws(SystemError) {
                guard let parent = try directories.parent(of: path, make: false) else { return }
                try TreeRemoval.remove(path.base, at: parent.raw)
                // A removed directory or link may be on the way to an open one.
                directories.forget()
            } catch  where error.errno == .notDirectory {
                // Nothing there: something else stands where its directory would be.
            }
        }
    }

    /// Removes what a directory has from lower layers and leaves what this one made.
    private func removeLowerContents(of top: EntryPath, _ entry: TarEntry) throws {
        var waiting = [top]
        while let path = waiting.popLast() {
            try attempt("apply", entry) { () throws(SystemError) in
                do throws(SystemError) {
                    // Not cached: the tree may be deep.
                    let directory = try File.openRaw(
                        path.openable, inRoot: root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                    for child in try DirectoryListing(directory.raw).entries {
                        let place = path.child(child.name)
                        if made.contains(place) {
                            waiting.append(place)
                        } else {
                            try TreeRemoval.remove(child.name, at: directory.raw)
                        }
                    }
                } catch  where error.errno == .noEntry || error.errno == .notDirectory || error.errno == .loop
                {
                    // No such directory, or a file or link of this layer: nothing from below.
                }
            }
        }
        directories.forget()
    }
}
