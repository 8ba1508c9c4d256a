import LinuxSystem

/// Where a bundle is to be. It is made beside, in a hidden directory whose
/// lock tells the living from the dead, and gets its name when it is whole.
struct BundlePlace: ~Copyable {
    private let path: String
    private let partial: String
    private let name: String
    private let parent: Descriptor
    let directory: Descriptor

    /// - Throws: `conflict` for a path that is taken by anything but an empty directory.
    init(_ text: String) throws(EngineError) {
        let path = try PathText.absolute(text)
        guard path != "/" else { throw EngineError(.conflict, "/ cannot become a bundle") }
        let slash = path.lastIndex(of: "/")!
        let above = slash == path.startIndex ? "/" : String(path[..<slash])
        let name = String(path[path.index(after: slash)...])
        try Self.requireFree(path)
        let parent = try engineErrors("make the bundle \(path)") {
            try File.open(above, O_RDONLY | O_DIRECTORY)
        }
        let partial = ".apus-unpack-\(name)"
        let directory = try Self.claim(partial, in: parent.raw, for: path)
        do throws(SystemError) {
            try TreeRemoval.removeContents(of: directory.raw)
        } catch {
            throw EngineError(error, while: "remove what an unpack before left in \(above)/\(partial)")
        }
        self.path = path
        self.partial = partial
        self.name = name
        self.parent = consume parent
        self.directory = consume directory
    }

    private static func requireFree(_ path: String) throws(EngineError) {
        guard let status = try? File.status(path, followLinks: false) else { return }
        let isDirectory = status.st_mode & S_IFMT == S_IFDIR
        guard isDirectory, (try? File.names(in: path))?.isEmpty == true else {
            throw EngineError(
                .conflict, "\(path) exists\(isDirectory ? " and is not empty" : ""): name another bundle")
        }
    }

    /// A directory of ours, locked by us alone.
    private static func claim(_ name: String, in parent: Int32, for path: String) throws(EngineError)
        -> Descriptor
    {
        while true {
            let directory = try engineErrors("make the bundle \(path)") {
                do throws(SystemError) {
                    try File.makeDirectory(name, at: parent, mode: 0o700)
                } catch  where error.errno == .exists {}
                return try File.open(name, at: parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            }
            if flock(directory.raw, LOCK_EX | LOCK_NB) != 0 {
                throw EngineError(.conflict, "another unpack into \(path) is under way: wait for its end")
            }
            guard let held = try? FD.stat(directory.raw), held.st_uid == geteuid() else {
                throw EngineError(.failed, "\(name) beside \(path) belongs to somebody else: remove it")
            }
            let named = try? File.status(name, at: parent, followLinks: false)
            // Otherwise it was another's, who has finished meanwhile.
            if named?.st_ino == held.st_ino, named?.st_dev == held.st_dev { return directory }
            try requireFree(path)
        }
    }

    /// Gives the whole bundle its name.
    borrowing func publish() throws(EngineError) {
        let (directory, parent) = (directory.raw, parent.raw)
        do throws(SystemError) {
            // What has its name has its files, also after a power failure.
            try FD.syncFileSystem(directory)
            try File.rename(partial, to: name, at: parent)
            try FD.sync(parent)
        } catch {
            throw [.notEmpty, .exists, .notDirectory].contains(error.errno)
                ? EngineError(.conflict, "\(path) was made by somebody else meanwhile: name another bundle")
                : EngineError(error, while: "make the bundle \(path)")
        }
    }

    /// Removes what there is of the bundle.
    borrowing func abandon() {
        _ = try? TreeRemoval.remove(partial, at: parent.raw)
    }
}
