import LinuxSystem

/// A file, or where one will be: an open directory and a name in it, found
/// within a root as the root's own processes would find it.
struct CopyPlace: ~Copyable {
    let parent: Descriptor
    /// Nil for `parent` itself: the root, or a path that ends with a dot.
    let name: [UInt8]?
    /// Nil for what is not there.
    let status: stat?

    private static let maximumLinks = 40

    /// - Parameters:
    ///   - path: absolute, within the root. A slash at its end asks for a directory.
    ///   - follows: a symbolic link as the last component is gone through.
    /// - Throws: ENOENT when the directory that the last component is in is not there.
    init(_ path: String, in root: Int32, follows: Bool) throws(SystemError) {
        var path = Array(path.utf8)
        var follows = follows
        for _ in 0..<Self.maximumLinks {
            // A slash at the end goes through a link (path_resolution(7)).
            if path.last == UInt8(ascii: "/") { follows = true }
            while path.count > 1, path.last == UInt8(ascii: "/") { path.removeLast() }
            let start = path.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0
            let last = Array(path[start...])
            let isDirectoryItself = last.isEmpty || last == Array(".".utf8) || last == Array("..".utf8)
            let above = isDirectoryItself ? path : Array(path[..<start])
            let parent = try File.openRaw(
                Self.text(above.isEmpty ? Array("/".utf8) : above), inRoot: root, O_RDONLY | O_DIRECTORY)
            if isDirectoryItself {
                status = try FD.stat(parent.raw)
                self.parent = parent
                name = nil
                return
            }
            var status = stat()
            let found = fstatat(parent.raw, Self.text(last), &status, AT_SYMLINK_NOFOLLOW) == 0
            if !found, Errno.current != .noEntry {
                throw SystemError("look at", String(decoding: path, as: UTF8.self), .current)
            }
            guard found, follows, status.st_mode & S_IFMT == S_IFLNK else {
                self.status = found ? status : nil
                self.parent = parent
                name = last
                return
            }
            let target = try Self.linkTarget(last, in: parent.raw)
            path = target.first == UInt8(ascii: "/") ? target : above + target
        }
        throw SystemError("open", String(decoding: path, as: UTF8.self), .loop)
    }

    var isDirectory: Bool { status.map { $0.st_mode & S_IFMT == S_IFDIR } ?? false }

    /// The directory at the place.
    func openDirectory() throws(SystemError) -> Descriptor {
        guard let name else { return try parent.duplicate() }
        return try File.openRaw(Self.text(name), beneath: parent.raw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    }

    private static func text(_ path: [UInt8]) -> [CChar] { path.map { CChar(bitPattern: $0) } + [0] }

    private static func linkTarget(_ name: [UInt8], in directory: Int32) throws(SystemError) -> [UInt8] {
        let name = text(name)
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = try retrying("readlink") {
            buffer.withUnsafeMutableBytes {
                readlinkat(directory, name, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
            }
        }
        return Array(buffer[..<count])
    }
}
