internal import LinuxSystem

/// One group in one hierarchy, as a directory that stays open.
final class CgroupDirectory {
    let version: CgroupMount.Version
    /// See `CgroupMount.controllers`.
    let controllers: [String]
    /// Absolute, in this mount namespace.
    let path: String
    /// Whether we made it and are setting it up, so that nothing in it was set before.
    private(set) var isNew: Bool
    private let directory: Descriptor

    /// Valid while the object lives. Opened with O_PATH, which is enough for
    /// openat(2) and for clone3(2)'s CLONE_INTO_CGROUP.
    var raw: Int32 { directory.raw }
    var key: String { controllers.joinedPlainly(by: ",") }

    private init(
        _ version: CgroupMount.Version, _ controllers: [String], _ path: String, isNew: Bool,
        _ directory: consuming Descriptor
    ) {
        self.version = version
        self.controllers = controllers
        self.path = path
        self.isNew = isNew
        self.directory = directory
    }

    /// From here on others may have changed things.
    func isSetUp() { isNew = false }

    private static let pathFlags = O_PATH | O_DIRECTORY

    /// Makes a group, and those above it that are missing.
    static func make(_ path: CgroupPath, in mount: CgroupMount) throws(CgroupError) -> CgroupDirectory {
        let full = "\(mount.point)/\(path.relative)"
        do throws(SystemError) {
            let root = try File.open(mount.point, pathFlags)
            let isNew = try makeDirectories(path, in: root.raw)
            // The path is clean and cgroup file systems have no links; but should a
            // part of it be a mount or a link all the same, this is not our group.
            let directory = try open(path.relative, in: root.raw)
            return CgroupDirectory(mount.version, mount.controllers, full, isNew: isNew, directory)
        } catch {
            throw CgroupError(error, "create cgroup \(full)")
        }
    }

    private static func open(_ path: String, in root: Int32) throws(SystemError) -> Descriptor {
        try File.open(beneath: path, at: root, pathFlags | O_NOFOLLOW, followLinks: false)
    }

    /// Opens a group that was recorded; nil when it is gone.
    static func find(_ path: String, _ version: CgroupMount.Version, _ controllers: [String])
        throws(CgroupError)
        -> CgroupDirectory?
    {
        do throws(SystemError) {
            let directory = try File.open(path, pathFlags | O_NOFOLLOW)
            return CgroupDirectory(version, controllers, path, isNew: false, directory)
        } catch  where error.errno == .noEntry {
            return nil
        } catch {
            throw CgroupError(error, "open cgroup \(path)")
        }
    }

    /// - Returns: whether the last directory was not there.
    private static func makeDirectories(_ path: CgroupPath, in root: Int32) throws(SystemError) -> Bool {
        // Another process may remove a parent that was still empty.
        for attempt in 0... {
            do throws(SystemError) {
                try File.makeDirectory(path.relative, at: root)
                return true
            } catch  where error.errno == .exists {
                return false
            } catch  where error.errno == .noEntry && path.components.count > 1 && attempt < 10 {
                for count in 1..<path.components.count {
                    let parent = path.components.prefix(count).joinedPlainly(by: "/")
                    do throws(SystemError) {
                        try File.makeDirectory(parent, at: root)
                        try initializeParent(parent, in: root)
                    } catch  where error.errno == .exists {}
                }
            }
        }
        return false
    }

    /// A v1 cpuset has no processors and no memory at first, and lets no process
    /// into itself or below until it has.
    private static func initializeParent(_ path: String, in root: Int32) throws(SystemError) {
        guard File.exists("cpuset.cpus", at: root), !File.exists("cgroup.controllers", at: root) else {
            return
        }
        let above = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        for file in ["cpuset.cpus", "cpuset.mems"] {
            try File.write(try File.readText("\(above)/\(file)", at: root), to: "\(path)/\(file)", at: root)
        }
    }

    // MARK: - Files

    func has(_ file: String) -> Bool { File.exists(file, at: raw) }

    func read(_ file: String) throws(CgroupError) -> String {
        do throws(SystemError) {
            return try File.readText(file, at: raw)
        } catch {
            throw CgroupError(error, "read \(path)/\(file)")
        }
    }

    func write(_ text: String, to file: String) throws(CgroupError) {
        do throws(SystemError) {
            try File.write(text, to: file, at: raw)
        } catch {
            throw CgroupError(error, "write \"\(text)\" to \(path)/\(file)")
        }
    }

    /// Writes some texts, each by a write(2) of its own, as most files want them.
    func write(_ texts: [String], to file: String) throws(CgroupError) {
        if texts.isEmpty { return }
        let opened: Descriptor
        do throws(SystemError) {
            opened = try File.open(file, at: raw, O_WRONLY)
        } catch {
            throw CgroupError(error, "write \"\(texts[0])\" to \(path)/\(file)")
        }
        for text in texts {
            do throws(SystemError) {
                try FD.writeAll(opened.raw, text)
            } catch {
                throw CgroupError(error, "write \"\(text)\" to \(path)/\(file)")
            }
        }
    }

    /// A file's one number. `max` and what v1 writes for no limit are nil.
    func number(_ file: String) throws(CgroupError) -> UInt64? {
        let text = try read(file)
        return UInt64(text.prefix { $0 != "\n" })
    }

    /// The number after a name in a file of `name number` lines.
    func number(_ name: String, in file: String) throws(CgroupError) -> UInt64? {
        for line in try read(file).split(separator: "\n") {
            let fields = line.split(separator: " ")
            if fields.count == 2, fields[0] == name { return UInt64(fields[1]) }
        }
        return nil
    }

    func pids(in file: String = "cgroup.procs") throws(CgroupError) -> [Int32] {
        try read(file).split(separator: "\n").compactMap { Int32($0) }
    }
}
