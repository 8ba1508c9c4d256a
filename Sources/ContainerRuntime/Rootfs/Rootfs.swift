import LinuxSystem

/// The container's file system while it is put together, before pivot_root.
///
/// Everything in it is found by descriptors below `root`, with openat2(2)'s
/// RESOLVE_IN_ROOT: whatever links the image brought, and whoever renames
/// things meanwhile, nothing outside is reached. What was mounted at /proc,
/// /sys and /dev is found through the mounts themselves from then on, not by
/// name, so that a rename of the directory below cannot lead a mask astray.
final class Rootfs {
    private final class RememberedMount {
        let path: String
        let mount: Descriptor
        init(path: String, mount: consuming Descriptor) {
            self.path = path
            self.mount = mount
        }
    }

    let root: Descriptor
    private var mounts: [RememberedMount] = []
    var trace: Trace?

    /// - Parameter root: open on the container's root, which is mounted.
    init(root: consuming Descriptor) { self.root = root }

    /// Remembers a mount so that paths below it are found through it.
    func remember(_ mount: consuming Descriptor, at path: String) {
        mounts.append(RememberedMount(path: path, mount: mount))
    }

    /// Where to look up a cleaned path: the newest remembered mount above it, or the root.
    private func place(of path: String) -> (directory: Int32, path: String) {
        for index in mounts.indices.reversed() {
            let above = mounts[index].path
            if path == above { return (mounts[index].mount.raw, ".") }
            if path.utf8.count > above.utf8.count, path.utf8.starts(with: above.utf8),
                path.utf8[path.utf8.index(path.utf8.startIndex, offsetBy: above.utf8.count)]
                    == UInt8(ascii: "/")
            {
                return (mounts[index].mount.raw, String(path.utf8.dropFirst(above.utf8.count + 1))!)
            }
        }
        return (root.raw, path)
    }

    /// The mount that was remembered for exactly this path.
    func mount(at path: String) -> Int32? { mounts.last { $0.path == path }?.mount.raw }

    func open(_ path: String, _ flags: Int32) throws(SystemError) -> Descriptor {
        let place = place(of: Self.clean(path))
        return try File.open(inRoot: place.path, at: place.directory, flags)
    }

    /// Opens a directory, making what is missing of it. Links are followed
    /// within the root, also those whose target is missing.
    func makeDirectories(_ path: String, depth: Int = 0) throws(SystemError) -> Descriptor {
        let path = Self.clean(path)
        do throws(SystemError) {
            return try open(path, O_PATH | O_DIRECTORY)
        } catch  where error.errno != .noEntry {
            throw error
        } catch {}
        let (parentPath, name) = Self.split(path)
        let parent = try makeDirectories(parentPath, depth: depth + 1)
        do throws(SystemError) {
            try File.makeDirectory(name, at: parent.raw, mode: 0o755)
        } catch  where error.errno == .exists {
            return try makeDirectories(
                try target(ofLink: name, at: parent.raw, in: parentPath, depth: depth), depth: depth + 1)
        }
        return try File.open(beneath: name, at: parent.raw, O_PATH | O_DIRECTORY, followLinks: false)
    }

    /// Opens a file as a place for a mount, making it when it is missing.
    func makeFile(_ path: String, depth: Int = 0) throws(SystemError) -> Descriptor {
        let path = Self.clean(path)
        do throws(SystemError) {
            return try open(path, O_PATH)
        } catch  where error.errno != .noEntry {
            throw error
        } catch {}
        let (parentPath, name) = Self.split(path)
        let parent = try makeDirectories(parentPath, depth: depth + 1)
        do throws(SystemError) {
            return try File.open(name, at: parent.raw, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDONLY, mode: 0o644)
        } catch  where error.errno == .exists {
            return try makeFile(
                try target(ofLink: name, at: parent.raw, in: parentPath, depth: depth), depth: depth + 1)
        }
    }

    /// Where a link leads whose target does not exist.
    private func target(ofLink name: String, at parent: Int32, in parentPath: String, depth: Int)
        throws(SystemError) -> String
    {
        guard depth < 40 else { throw SystemError("resolve", name, .loop) }
        let target = try File.readLink(name, at: parent)
        return target.utf8.first == UInt8(ascii: "/") ? target : "\(parentPath)/\(target)"
    }

    /// The path from the root without `.`, `..`, and empty components.
    static func clean(_ path: String) -> String {
        let slash = UInt8(ascii: "/")
        let dot = UInt8(ascii: ".")
        // The usual path is clean already.
        var previous = slash
        var isClean = path.utf8.first == slash
        for byte in path.utf8.dropFirst() {
            if previous == slash, byte == slash || byte == dot {
                isClean = false
                break
            }
            previous = byte
        }
        if isClean, path.utf8.count == 1 || previous != slash { return path }
        var parts: [String] = []
        for bytes in Array(path.utf8).split(separator: slash) {
            let part = String(decoding: bytes, as: UTF8.self)
            switch part {
            case ".": break
            case "..": _ = parts.popLast()
            default: parts.append(part)
            }
        }
        return "/" + parts.joinedPlainly(by: "/")
    }

    /// A cleaned path's directory and last component.
    static func split(_ path: String) -> (directory: String, name: String) {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return ("/", path) }
        let directory = String(path[..<slash])
        return (directory.isEmpty ? "/" : directory, String(path[path.utf8.index(after: slash)...]))
    }
}
