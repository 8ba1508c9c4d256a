import LinuxSystem

extension LayerApplication {
    func makeFile(_ entry: TarEntry, _ path: EntryPath, in parent: OpenDirectory, _ reader: TarReader) throws
    {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        let file = Descriptor(
            owning: try create(entry, path, in: parent) { directory, name in
                openat(directory, name, flags, mode_t(entry.mode & 0o777))
            })
        try count(entry.storedSize)
        let finish = FileFinish(
            entry: entry, setsOwner: needsOwner(entry, in: parent), setsMode: needsMode(entry, in: parent),
            removesACLs: parent.hasDefaultACL)
        if entry.segments == nil, entry.size <= FileFiller.largestFile, let filler = fillerOfMany() {
            return try filler.take(file, finish, contents: reader)
        }
        try write(entry, to: file.raw, reader)
        outcome.refusedAttributes += try finish.apply(to: file.raw)
    }

    private func count(_ bytes: Int64) throws {
        outcome.bytes += bytes
        if let limit = options.maximumBytes, outcome.bytes > limit {
            throw ArchiveError(.limitExceeded, "more than \(limit) bytes in files")
        }
    }

    /// A second thread pays only where files are many. Without one it goes as well.
    private func fillerOfMany() -> FileFiller? {
        smallFiles += 1
        if smallFiles == 64 { filler = try? FileFiller() }
        return filler
    }

    private func write(_ entry: TarEntry, to file: Int32, _ reader: TarReader) throws {
        guard let segments = entry.segments else {
            var writer = HoleWriter(file)
            while let piece = try reader.nextPiece() {
                try attempt("write", entry) { () throws(SystemError) in try writer.write(piece) }
            }
            return try attempt("write", entry) { () throws(SystemError) in try writer.finish() }
        }
        // The whole length first: what is not written stays a hole.
        try attempt("write", entry) { () throws(SystemError) in
            _ = try retrying("truncate") { ftruncate(file, Int(entry.size)) }
        }
        var index = 0
        var done: Int64 = 0
        while var piece = try reader.nextPiece() {
            while !piece.isEmpty {
                while segments[index].length == done {
                    index += 1
                    done = 0
                }
                let count = Int(min(Int64(piece.count), segments[index].length - done))
                let part = UnsafeRawBufferPointer(rebasing: piece[..<count])
                let offset = segments[index].offset + done
                try attempt("write", entry) { () throws(SystemError) in
                    _ = try retrying("seek") { lseek(file, Int(offset), SEEK_SET) }
                    try FD.writeAll(file, part)
                }
                done += Int64(count)
                piece = UnsafeRawBufferPointer(rebasing: piece[count...])
            }
        }
    }

    func makeHardLink(_ entry: TarEntry, _ path: EntryPath, in parent: OpenDirectory) throws {
        let target: EntryPath
        do throws(ArchiveError) {
            target = try EntryPath(entry.linkTarget, in: entry)
        } catch {
            throw ArchiveError(.unsafeEntry, "hard link to a name with a \"..\" component", on: entry.text)
        }
        let text = target.description
        guard !target.isRoot,
            let targetParent = try attempt(
                "find the target of", entry,
                { () throws(SystemError) in
                    try directories.parent(of: target, make: false)
                })
        else {
            throw ArchiveError(.malformed, "hard link to \"\(text)\", which is not there", on: entry.text)
        }
        try target.withBase { targetName in
            try path.withBase { name in
                var existing = stat()
                var wanted = stat()
                guard fstatat(targetParent.raw, targetName, &wanted, AT_SYMLINK_NOFOLLOW) == 0 else {
                    throw ArchiveError(
                        .malformed, "hard link to \"\(text)\", which is not there", on: entry.text)
                }
                if wanted.st_mode & mode_t(S_IFMT) == mode_t(S_IFDIR) {
                    throw ArchiveError(.malformed, "hard link to \"\(text)\", a directory", on: entry.text)
                }
                // A link to itself would lose the file with the one that it replaces.
                if fstatat(parent.raw, name, &existing, AT_SYMLINK_NOFOLLOW) == 0,
                    existing.st_ino == wanted.st_ino, existing.st_dev == wanted.st_dev
                {
                    return
                }
                _ = try create(entry, path, in: parent) { directory, name in
                    linkat(targetParent.raw, targetName, directory, name, 0)
                }
            }
        }
    }

    func makeSymbolicLink(_ entry: TarEntry, _ path: EntryPath, in parent: OpenDirectory) throws {
        let target = entry.linkTarget.map { CChar(bitPattern: $0) } + [0]
        _ = try create(entry, path, in: parent) { directory, name in symlinkat(target, directory, name) }
        try setMetadata(entry, path, in: parent, mode: false)
    }

    func makeNode(_ entry: TarEntry, _ path: EntryPath, in parent: OpenDirectory) throws {
        let type =
            switch entry.kind {
            case .characterDevice: S_IFCHR
            case .blockDevice: S_IFBLK
            default: S_IFIFO
            }
        let device = entry.kind == .fifo ? 0 : gnu_dev_makedev(entry.deviceMajor, entry.deviceMinor)
        _ = try create(entry, path, in: parent) { directory, name in
            mknodat(directory, name, mode_t(entry.mode & 0o777) | mode_t(type), device)
        }
        try setMetadata(entry, path, in: parent, mode: true)
    }

    /// The metadata of something that is not opened, in the order of `FileFinish`.
    private func setMetadata(_ entry: TarEntry, _ path: EntryPath, in parent: OpenDirectory, mode: Bool)
        throws
    {
        try path.withBase { name in
            try attempt("set the owner of", entry) { () throws(SystemError) in
                if needsOwner(entry, in: parent) {
                    try FileMetadata.setOwner(of: name, at: parent.raw, entry.user, entry.group)
                }
            }
            for attribute in entry.attributes where attribute.name != AttributeName.accessACL {
                try setAttribute(of: name, in: parent, attribute, entry)
            }
            if mode {
                try attempt("set the mode of", entry) { () throws(SystemError) in
                    if needsMode(entry, in: parent) {
                        try FileMetadata.setMode(of: name, at: parent.raw, entry.mode)
                    }
                }
                for attribute in entry.attributes where attribute.name == AttributeName.accessACL {
                    try setAttribute(of: name, in: parent, attribute, entry)
                }
            }
            try attempt("set the times of", entry) { () throws(SystemError) in
                try FileMetadata.setTimes(
                    of: name, at: parent.raw, accessed: entry.accessed ?? entry.modified,
                    modified: entry.modified)
            }
        }
    }

    /// Makes a name with a call that answers EEXIST when it is taken; then
    /// removes what has it and calls again: the last of several entries stays.
    func create(
        _ entry: TarEntry, _ path: EntryPath, in parent: OpenDirectory,
        _ call: (Int32, UnsafePointer<CChar>) throws -> Int32
    ) throws -> Int32 {
        try path.withBase { name in
            while true {
                let result = try call(parent.raw, name)
                if result >= 0 { return result }
                let errno = Errno.current
                if errno == .interrupted { continue }
                guard errno == .exists else {
                    throw ArchiveError(
                        .fileSystem, "cannot make the entry", on: entry.text,
                        cause: SystemError("make", path.description, errno))
                }
                try attempt("replace", entry) { () throws(SystemError) in
                    let old = try statusOfExisting(name, in: parent)
                    if options.keepsDirectories {
                        let isDirectory = old & mode_t(S_IFMT) == mode_t(S_IFDIR)
                        if isDirectory { throw SystemError("replace", path.description, .isDirectory) }
                        if entry.kind == .directory {
                            throw SystemError("replace", path.description, .notDirectory)
                        }
                    }
                    try TreeRemoval.remove(name, at: parent.raw)
                    // It may have been on the way to an open directory.
                    let type = old & mode_t(S_IFMT)
                    if type == mode_t(S_IFDIR) || type == mode_t(S_IFLNK) { directories.forget() }
                }
            }
        }
    }

    func statusOfExisting(_ name: UnsafePointer<CChar>, in parent: OpenDirectory) throws(SystemError)
        -> mode_t
    {
        var status = stat()
        _ = try retrying("stat") { fstatat(parent.raw, name, &status, AT_SYMLINK_NOFOLLOW) }
        return status.st_mode
    }

    // MARK: What the kernel does by itself

    /// A new file belongs to us, and to our group unless the directory says otherwise.
    private func needsOwner(_ entry: TarEntry, in parent: OpenDirectory) -> Bool {
        entry.user != user || entry.group != group || parent.isSetGroupID
    }

    /// A new file has the mode that was asked for, less the umask; what is
    /// above the permissions is not taken everywhere.
    private func needsMode(_ entry: TarEntry, in parent: OpenDirectory) -> Bool {
        entry.mode & (0o7000 | UInt32(umask)) != 0 || parent.hasDefaultACL || needsOwner(entry, in: parent)
    }

    private func setAttribute(
        of name: UnsafePointer<CChar>, in parent: OpenDirectory,
        _ attribute: ExtendedAttributes.Attribute, _ entry: TarEntry
    ) throws {
        if AttributeName.isOverlay(attribute.name) { return }
        outcome.refusedAttributes += try tolerate(attribute, entry) { () throws(SystemError) in
            try ExtendedAttributes.set(of: name, at: parent.raw, attribute)
        }
    }
}

/// - Returns: how many attributes the file system did not take: 1 or none.
func setAttribute(_ file: Int32, _ attribute: ExtendedAttributes.Attribute, _ entry: TarEntry) throws -> Int {
    if AttributeName.isOverlay(attribute.name) { return 0 }
    return try tolerate(attribute, entry) { () throws(SystemError) in
        try ExtendedAttributes.set(file, attribute)
    }
}

private func tolerate(
    _ attribute: ExtendedAttributes.Attribute, _ entry: TarEntry, _ body: () throws(SystemError) -> Void
) throws -> Int {
    do throws(SystemError) {
        try body()
        return 0
    } catch {
        // The file system has no such attributes, or this kind of file
        // cannot have them (user.* of a link, xattr(7)).
        let isUser = attribute.name.starts(with: Array("user.".utf8))
        guard error.errno == .notSupported || (isUser && error.errno == .notPermitted) else {
            throw ArchiveError(
                .fileSystem, "cannot set the attribute \(attribute.text) of the entry", on: entry.text,
                cause: error)
        }
        return 1
    }
}

func removeInheritedACLs(_ file: Int32, _ entry: TarEntry) throws {
    try attempt("remove the inherited ACL of", entry) { () throws(SystemError) in
        try ExtendedAttributes.remove(file, AttributeName.accessACL)
        try ExtendedAttributes.remove(file, AttributeName.defaultACL)
    }
}
