internal import LayerArchive
internal import LinuxSystem

/// A file that appears under its name when it is whole. A device or a FIFO (`/dev/stdout`) is
/// written as it is.
final class ReplacedFile: Sendable {
    let path: String
    let file: Descriptor
    private enum Kind { case unnamed, named(String), asItIs }
    private let kind: Kind

    /// - Parameter followsLinks: what a link leads to is written; otherwise the link makes way.
    init(_ given: String, followsLinks: Bool = true) throws(ImageError) {
        let path = followsLinks ? Self.target(of: given) : given
        self.path = path
        do throws(SystemError) {
            if followsLinks, let stream = try Self.standardStream(at: path) {
                file = stream
                kind = .asItIs
                return
            }
            if let status = try? File.status(path, followLinks: followsLinks),
                ![S_IFREG, S_IFLNK].contains(status.st_mode & S_IFMT)
            {
                guard status.st_mode & S_IFMT != S_IFDIR else {
                    throw SystemError("write", path, .isDirectory)
                }
                file = try File.open(path, O_WRONLY)
                kind = .asItIs
                return
            }
            let parent = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
            do throws(SystemError) {
                file = try File.open(parent, O_TMPFILE | O_RDWR, mode: 0o644)
                kind = .unnamed
            } catch  where error.errno == .notSupported || error.errno == .isDirectory {
                file = try File.open(Self.temporary(path), O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW)
                kind = .named(Self.temporary(path))
            }
        } catch {
            throw ImageError(
                .file, "save \(path)", error.errno == .isDirectory ? "it is a directory" : "\(error.errno)")
        }
    }

    /// The path without links; as it is where that has none, or nothing is there.
    private static func target(of path: String) -> String {
        guard let status = try? File.status(path, followLinks: false), status.st_mode & S_IFMT == S_IFLNK,
            let real = realpath(path, nil)
        else { return path }
        defer { free(real) }
        let target = String(cString: real)
        // Of a pipe, or a removed file, there is no path.
        return File.exists(target) ? target : path
    }

    /// One of our own streams, of which `/dev/stdout` is a name: written on where it stands.
    private static func standardStream(at path: String) throws(SystemError) -> Descriptor? {
        guard let status = try? File.status(path) else { return nil }
        for stream in [STDOUT_FILENO, STDERR_FILENO] {
            guard let own = try? FD.stat(stream), own.st_dev == status.st_dev, own.st_ino == status.st_ino
            else { continue }
            return Descriptor(
                owning: try retrying("duplicate", path) { fcntl(stream, F_DUPFD_CLOEXEC, 0) })
        }
        return nil
    }

    deinit { if case .named(let name) = kind { try? File.unlink(name) } }

    private static func temporary(_ path: String) -> String { "\(path).\(getpid())-\(gettid()).tmp" }

    func publish() throws(SystemError) {
        switch kind {
        case .asItIs: return
        case .named(let name): try File.rename(name, to: path)
        case .unnamed:
            do throws(SystemError) {
                try File.link(file.raw, to: path)
            } catch  where error.errno == .exists {
                // link(2) replaces nothing: a name beside it, and that takes its place.
                let name = Self.temporary(path)
                try? File.unlink(name)
                try File.link(file.raw, to: name)
                try File.rename(name, to: path)
            }
        }
    }
}

/// Files without a name, of which nothing stays whatever happens.
enum ScratchFile {
    static func make(in directory: String) throws(SystemError) -> Descriptor {
        do throws(SystemError) {
            return try File.open(directory, O_TMPFILE | O_RDWR, mode: 0o600)
        } catch  where error.errno == .notSupported || error.errno == .isDirectory {
            // A file system without O_TMPFILE (overlay on an old kernel, NFS).
            let path = "\(directory)/spool-\(getpid())-\(gettid())"
            let file = try File.open(path, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
            try File.unlink(path)
            return file
        }
    }

    /// Where large temporary things go (environ(7), TMPDIR).
    static var directory: String { RegistryEnvironment.value("TMPDIR") ?? "/var/tmp" }
}
