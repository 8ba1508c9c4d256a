public import LayerArchive
import LinuxSystem

/// Images whose files are shown to whoever looks: `RUNROOT/images/HEX`, read
/// only. The mount is the fact; beside it stands how often it was asked for.
extension Store {
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
        for id in Set(ids) where !Mount.isMountRoot(mountPath(id)) {
            guard let lock = try? ObjectLock.attempt("image-\(id.fileName)", in: directory.raw) else {
                continue
            }
            defer { lock.keep() }
            if !Mount.isMountRoot(mountPath(id)) { try? removePlace(of: id) }
        }
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
        let text = (try? File.readText(mountPath(id) + ".uses")) ?? ""
        return max(1, Int(text) ?? 1)
    }

    private func setUses(_ uses: Int, of id: Digest) throws(StorageError) {
        try storing("note the use of image", "\(id)") { () throws(SystemError) in
            try File.replace(mountPath(id) + ".uses", with: Array("\(uses)".utf8), durable: false)
        }
    }
}
