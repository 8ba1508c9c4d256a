public import LayerArchive
import LinuxSystem

/// Images whose files are shown to whoever looks: `RUNROOT/images/HEX`, read
/// only. The mount is the fact; beside it stands how often it was asked for, and in which mount
/// namespace it is.
extension Store {
    /// What stands beside a mount.
    private struct Note {
        var uses: Int
        /// nil when that is not known.
        var namespace: NamespaceIdentity?

        init(uses: Int) {
            self.uses = uses
            namespace = NamespaceIdentity(own: "mnt")
        }

        init?(text: String) {
            let parts = text.split(separator: " ", maxSplits: 1)
            guard let first = parts.first, let uses = Int(first) else { return nil }
            self.uses = uses
            namespace = parts.count == 2 ? NamespaceIdentity(text: parts[1]) : nil
        }

        var text: String { namespace.map { "\(uses) \($0.text)" } ?? "\(uses)" }
    }

    private func mountPath(_ id: Digest) -> String { "\(runRoot)/images/\(id.fileName)" }

    /// Shows an image's files. Each call asks for one `unmountImage`.
    /// - Returns: the absolute path of the root directory.
    public func mountImage(_ image: ImageRecord) throws(StorageError) -> String {
        let lock = try ObjectLock("image-\(image.id.fileName)", in: directory.raw)
        defer { lock.keep() }
        guard try self.image(id: image.id) != nil else {
            throw StorageError(.notFound, "mount image", "\(image.id)", "there is no such image")
        }
        let path = mountPath(image.id)
        let uses = try imageUses(image.id)
        if uses == 0 {
            try unpack(image.diffIDs)
            try storing("mount image", "\(image.id)") { () throws(SystemError) in
                try File.makeDirectories(path)
            }
            try snapshotter.attachView(image.diffIDs, to: path)
        }
        try setUses(uses + 1, of: image.id)
        return path
    }

    /// Takes one use of a mounted image back, and the mount with the last.
    /// - Parameter force: all of its uses.
    /// - Returns: false when it is not mounted.
    @discardableResult
    public func unmountImage(_ id: Digest, force: Bool = false) throws(StorageError) -> Bool {
        let lock = try ObjectLock("image-\(id.fileName)", in: directory.raw)
        defer { lock.keep() }
        let uses = try imageUses(id)
        if uses == 0 { return false }
        if uses > 1, !force {
            try setUses(uses - 1, of: id)
            return true
        }
        try storing("unmount image", "\(id)") { () throws(SystemError) in
            try OverlayMount.unmount(mountPath(id))
            try removePlace(of: id)
        }
        return true
    }

    private func removePlace(of id: Digest) throws(SystemError) {
        for (path, remove) in [(mountPath(id) + ".uses", unlink), (mountPath(id), rmdir)]
        where remove(path) != 0 && Errno.current != .noEntry {
            throw SystemError("remove", path, .current)
        }
    }

    /// Removes the places of images whose mount was cut short, or ended so.
    func sweepImageMounts() {
        guard let names = try? File.names(in: runRoot + "/images") else { return }
        let ids = names.compactMap { Digest(fileName: $0.hasSuffix(".uses") ? String($0.dropLast(5)) : $0) }
        for id in Set(ids) where isPlaceLeft(id) {
            guard let lock = try? ObjectLock.attempt("image-\(id.fileName)", in: directory.raw) else {
                continue
            }
            defer { lock.keep() }
            if isPlaceLeft(id) { try? removePlace(of: id) }
        }
    }

    /// Whether nothing is mounted on an image's place, in no mount namespace: removing it would end
    /// the mount in all of them.
    private func isPlaceLeft(_ id: Digest) -> Bool {
        if Mount.isMountRoot(mountPath(id)) { return false }
        guard let there = note(of: id)?.namespace, let here = NamespaceIdentity(own: "mnt") else {
            return true
        }
        return there.isSeen(from: here)
    }

    /// The mounted images and where they are, by their ids.
    public func mountedImages() throws(StorageError) -> [(id: Digest, path: String)] {
        let names: [String]
        do throws(SystemError) {
            names = try File.names(in: runRoot + "/images")
        } catch  where error.errno == .noEntry {
            return []
        } catch {
            throw StorageError("list", "the mounted images", error)
        }
        return names.sorted().compactMap(Digest.init(fileName:)).filter { Mount.isMountRoot(mountPath($0)) }
            .map { ($0, mountPath($0)) }
    }

    /// 0 when the image is not mounted, whatever was noted: a reboot unmounts.
    private func imageUses(_ id: Digest) throws(StorageError) -> Int {
        guard Mount.isMountRoot(mountPath(id)) else { return 0 }
        // The mount comes before the note.
        return max(1, note(of: id)?.uses ?? 1)
    }

    private func note(of id: Digest) -> Note? {
        (try? File.readText(mountPath(id) + ".uses")).flatMap { Note(text: $0) }
    }

    private func setUses(_ uses: Int, of id: Digest) throws(StorageError) {
        try storing("note the use of image", "\(id)") { () throws(SystemError) in
            try File.replace(
                mountPath(id) + ".uses", with: Array(Note(uses: uses).text.utf8), durable: false)
        }
    }
}
