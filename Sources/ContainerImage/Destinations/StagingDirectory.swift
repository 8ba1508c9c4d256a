internal import LayerArchive
internal import LinuxSystem
internal import Synchronization

/// Files that are to appear in a directory together. Until `publish` they lie in a directory of
/// their own in it, whose lock tells the living from the dead: the next one that comes removes what
/// a killed program left.
final class StagingDirectory: Sendable {
    /// Where the files are to be.
    let target: String
    private let path: String
    private let lock: FileLock
    /// The target was not there before.
    private let madeTarget: Bool
    private let state = Mutex((published: false, names: Set<String>()))
    private static let prefix = ".apus-staging-"

    init(in target: String) throws(SystemError) {
        self.target = target
        madeTarget = !File.exists(target)
        try File.makeDirectories(target)
        // Between the making of a directory and its lock nobody may take it for a dead one's.
        let guarded = try FileLock(directory: target)
        for name in try File.names(in: target) where name.hasPrefix(Self.prefix) {
            if let dead = try? FileLock.attempt(directory: "\(target)/\(name)") {
                try? File.removeTree("\(target)/\(name)")
                _ = dead.raw
            }
        }
        path = "\(target)/\(Self.prefix)\(getpid())-\(String(UInt64.random(in: .min ... .max), radix: 36))"
        try File.makeDirectory(path, mode: 0o700)
        lock = try FileLock(directory: path)
        _ = guarded.raw
    }

    deinit {
        try? File.removeTree(path)
        guard madeTarget, !state.withLock({ $0.published }) else { return }
        try? File.removeDirectory(target)
    }

    /// Writes a file that will be called so below the target.
    /// - Returns: false when it is there already, with this size: names say what is in a file.
    func add(_ name: String, size: Int64, _ open: () throws -> any ByteSource) throws -> Bool {
        if let status = try? File.status("\(target)/\(name)"), status.st_size == size { return false }
        if state.withLock({ $0.names.contains(name) }) { return false }
        let staged = "\(path)/\(Self.flat(name))"
        do {
            let file = try File.open(staged, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW)
            try open().copy(to: DescriptorSink(file.raw))
            // Before it has its name: after a power failure no name is without its bytes.
            try FD.sync(file.raw)
            try file.close()
        } catch {
            try? File.unlink(staged)
            throw error
        }
        state.withLock { _ = $0.names.insert(name) }
        return true
    }

    /// Gives the files their names, alone in the target.
    /// - Parameters:
    ///   - before: what is done first.
    ///   - after: what makes the new files count.
    func publish(before: () throws -> Void = {}, after: () throws -> Void) throws {
        let guarded = try FileLock(directory: target)
        try before()
        var folders: Set<Substring> = []
        for name in state.withLock({ $0.names.sorted() }) {
            if let slash = name.lastIndex(of: "/") {
                try File.makeDirectories("\(target)/\(name[..<slash])")
                folders.insert(name[...slash])
            }
            try File.rename("\(path)/\(Self.flat(name))", to: "\(target)/\(name)")
        }
        for folder in folders { try File.syncDirectory(of: "\(target)/\(folder)") }
        try after()
        state.withLock { $0.published = true }
        _ = guarded.raw
    }

    /// A small file that replaces another, for good.
    func replace(_ name: String, with bytes: [UInt8]) throws {
        let staged = "\(path)/\(Self.flat(name))"
        try File.replace(staged, with: bytes)
        try File.rename(staged, to: "\(target)/\(name)")
        try File.syncDirectory(of: "\(target)/\(name)")
    }

    private static func flat(_ name: String) -> String {
        String(name.map { $0 == "/" ? "-" : $0 })
    }
}
