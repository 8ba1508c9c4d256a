import LinuxSystem

extension Store {
    /// Takes a file or tree away from its place, at once; `emptyTrash` removes it.
    /// One that is not there is no error.
    func discard(_ path: String, as kind: String) throws(SystemError) {
        let name = "trash/\(kind)-\(getpid())-\(String(UInt64.random(in: .min ... .max), radix: 36))"
        do throws(SystemError) {
            try File.rename(path, to: name, at: directory.raw)
        } catch  where error.errno == .noEntry {}
    }

    /// Removes what is in the trash, or, where others can do the rest, what
    /// some milliseconds suffice for: nobody waits for a large removal.
    func emptyTrash() throws(StorageError) {
        guard let leaveWork, try !needsSpace() else {
            try finishRemovals()
            return
        }
        if try !remove(until: Deadline(milliseconds: 5)) { leaveWork() }
    }

    /// What was left to do so that nobody had to wait for it.
    public func finishWork() throws(StorageError) {
        let isWritten = (try? writeOut()) != nil
        try finishRemovals()
        // That made room for layers that have to be unpacked again.
        if !isWritten { try writeOut() }
    }

    /// Removes all that was taken away from its place, when those have ended who are at it.
    private func finishRemovals() throws(StorageError) {
        _ = try remove(until: .never, waits: true)
    }

    /// One process does it at a time, and looks again for what came meanwhile.
    /// - Parameter waits: for another who is at it, and does what he leaves.
    /// - Returns: false when there is more to do, and nobody does it.
    private func remove(until deadline: Deadline, waits: Bool = false) throws(StorageError) -> Bool {
        while try !names(in: "trash").isEmpty {
            let lock =
                try waits
                ? ObjectLock("trash", in: directory.raw) : ObjectLock.attempt("trash", in: directory.raw)
            guard let lock else { return true }
            defer { lock.keep() }
            do throws(SystemError) {
                for name in try File.names(in: "trash", at: directory.raw) {
                    try remove("trash/\(name)", until: deadline)
                }
            } catch  where error.errno.rawValue == ETIME {
                return false
            } catch {
                throw StorageError("empty", "trash", error)
            }
        }
        return try FileObjects(store: self).collect(until: deadline)
    }

    private func remove(_ path: String, until deadline: Deadline) throws(SystemError) {
        if let folder = try? File.open(path, at: directory.raw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
            BtrfsSubvolume.isOnBtrfs(folder.raw),
            let rootfs = try? File.open("rootfs", at: folder.raw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
            BtrfsSubvolume.isSubvolume(rootfs.raw)
        {
            // Where a container made subvolumes of its own, they go one by one.
            try? BtrfsSubvolume.destroy("rootfs", at: folder.raw)
        }
        try TreeRemoval.remove(path, at: directory.raw, until: deadline)
    }

    /// Whether what is added next may need what the trash holds.
    func needsSpace() throws(StorageError) -> Bool {
        var status = statvfs()
        let raw = directory.raw
        _ = try storing("look at the file system of", root) { () throws(SystemError) in
            try retrying("statvfs") { fstatvfs(raw, &status) }
        }
        return status.f_bavail < status.f_blocks / 20
    }
}
