import LinuxSystem

extension LayerApplication {
    func makeDirectory(_ entry: TarEntry, _ path: EntryPath) throws {
        var existed = true
        let directory: Descriptor
        if path.isRoot {
            directory = try attempt("open", entry) { () throws(SystemError) in
                try File.openRaw(path.openable, inRoot: root, O_RDONLY | O_DIRECTORY)
            }
        } else {
            let parent = try self.parent(of: path, for: entry)
            existed = try path.withBase { try make($0, entry, path, in: parent) }
            directory = try attempt("open", entry) { () throws(SystemError) in
                try File.openRaw(path.base, beneath: parent.raw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            }
            if !existed, parent.hasDefaultACL { try removeInheritedACLs(directory.raw, entry) }
            existed = existed || parent.isSetGroupID || parent.hasDefaultACL
        }
        try setMetadata(entry, path, directory.raw, anew: !existed)
        if existed { directories.forget() }
        directories.keep(
            OpenDirectory(directory, isSetGroupID: entry.mode & UInt32(S_ISGID) != 0), as: path)
    }

    /// Makes the directory or finds it there.
    /// - Returns: Whether it was there.
    private func make(
        _ name: UnsafePointer<CChar>, _ entry: TarEntry, _ path: EntryPath, in parent: OpenDirectory
    ) throws -> Bool {
        if mkdirat(parent.raw, name, mode_t(entry.mode & 0o777)) == 0 { return false }
        guard Errno.current == .exists else {
            throw ArchiveError(
                .fileSystem, "cannot make the entry", on: entry.text,
                cause: SystemError("mkdir", path.description, .current))
        }
        var status = stat()
        _ = try attempt("look at", entry) { () throws(SystemError) in
            try retrying("stat") { fstatat(parent.raw, name, &status, AT_SYMLINK_NOFOLLOW) }
        }
        let type = status.st_mode & mode_t(S_IFMT)
        if type == mode_t(S_IFDIR) { return true }
        // A whiteout of this layer: the directory replaces the one below.
        let wasWhiteout = options.whiteouts == .overlay && type == mode_t(S_IFCHR) && status.st_rdev == 0
        _ = try create(entry, path, in: parent) { directory, name in
            mkdirat(directory, name, mode_t(entry.mode & 0o777))
        }
        if wasWhiteout {
            let made = try attempt("open", entry) { () throws(SystemError) in
                try File.openRaw(path.base, beneath: parent.raw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            }
            try markOpaque(made.raw, entry)
        }
        return false
    }

    private func setMetadata(_ entry: TarEntry, _ path: EntryPath, _ directory: Int32, anew: Bool) throws {
        try attempt("set the owner of", entry) { () throws(SystemError) in
            if !anew || entry.user != user || entry.group != group {
                try FileMetadata.setOwner(directory, entry.user, entry.group)
            }
        }
        if !anew { try removeOtherAttributes(entry, directory) }
        var accessACL: ExtendedAttributes.Attribute?
        var defaultACL: ExtendedAttributes.Attribute?
        for attribute in entry.attributes {
            switch attribute.name {
            case AttributeName.accessACL: accessACL = attribute
            case AttributeName.defaultACL: defaultACL = attribute
            default: outcome.refusedAttributes += try setAttribute(directory, attribute, entry)
            }
        }
        try attempt("set the mode of", entry) { () throws(SystemError) in
            if !anew || entry.mode & (0o7000 | UInt32(umask)) != 0 {
                try FileMetadata.setMode(directory, entry.mode)
            }
        }
        if let accessACL { outcome.refusedAttributes += try setAttribute(directory, accessACL, entry) }
        let status = try attempt("look at", entry) { () throws(SystemError) in try FD.stat(directory) }
        directories.isSaid(status.st_ino)
        finishing.append(
            UnfinishedDirectory(
                path: path, device: status.st_dev, inode: status.st_ino,
                accessed: entry.accessed ?? entry.modified, modified: entry.modified,
                defaultACL: defaultACL))
    }

    /// A directory that was there has what its last entry says and no more;
    /// overlay's notes are ours and stay. Its default ACL goes until the end in any case.
    private func removeOtherAttributes(_ entry: TarEntry, _ directory: Int32) throws {
        try attempt("remove old attributes of", entry) { () throws(SystemError) in
            for name in try ExtendedAttributes.names(directory)
            where AttributeName.isPortable(name)
                && (name == AttributeName.defaultACL || !entry.attributes.contains { $0.name == name })
            {
                try ExtendedAttributes.remove(directory, name)
            }
        }
    }
}
