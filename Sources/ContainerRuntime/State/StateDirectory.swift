import JSONText
import LinuxSystem
import OCISpec

/// A container's directory below the runtime's root, open. A lock on it is held
/// while the container is made, started or removed; the kernel frees the lock of
/// a process that was killed.
struct StateDirectory: ~Copyable {
    let id: String
    private let directory: Descriptor
    var raw: Int32 { directory.raw }

    static func checkID(_ id: String) throws(RuntimeError) {
        let isGood =
            !id.isEmpty && id != "." && id != ".." && id.utf8.count <= 255
            && id.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "+"),
                    UInt8(ascii: "-"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
        if !isGood { throw RuntimeError(.invalidID, "invalid container ID format: \(id)") }
    }

    /// Makes the directory, and locks it.
    init(creating id: String, root: String) throws(RuntimeError) {
        try Self.checkID(id)
        let path = "\(root)/\(id)"
        do throws(SystemError) {
            do throws(SystemError) {
                try File.makeDirectory(path, mode: 0o711)
            } catch  where error.errno == .noEntry {
                try File.makeDirectories(root, mode: 0o711)
                try File.makeDirectory(path, mode: 0o711)
            }
        } catch  where error.errno == .exists {
            throw RuntimeError(.alreadyExists, "container with given ID already exists: \(id)")
        } catch {
            throw RuntimeError(.system, "create the state directory", cause: error)
        }
        let opened = try during("open the state directory") { () throws(SystemError) in
            try File.open(path, O_RDONLY | O_DIRECTORY)
        }
        let raw = opened.raw
        _ = try during("lock container \(id)") { () throws(SystemError) in
            try retrying("flock") { flock(raw, LOCK_EX) }
        }
        // Before the lock it looks like what a killed runtime left, which `delete` takes away.
        guard Self.isLinked(raw) else {
            throw RuntimeError(.system, "container \(id) was deleted while it was created")
        }
        // Or it was deleted and made again before it was opened here.
        guard !File.exists(StateRecord.fileName, at: raw) else {
            throw RuntimeError(.alreadyExists, "container with given ID already exists: \(id)")
        }
        self.id = id
        directory = opened
    }

    /// Whether the directory still has its name, which could be another container's by now.
    private static func isLinked(_ directory: Int32) -> Bool {
        ((try? FD.stat(directory).st_nlink) ?? 0) > 0
    }

    init(opening id: String, root: String) throws(RuntimeError) {
        try Self.checkID(id)
        let opened = try Self.open(id, root)
        self.id = id
        directory = opened
    }

    private static func open(_ id: String, _ root: String) throws(RuntimeError) -> Descriptor {
        do throws(SystemError) {
            return try File.open("\(root)/\(id)", O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        } catch  where error.errno == .noEntry || error.errno == .notDirectory {
            throw RuntimeError(.notFound, "container does not exist: \(id)")
        } catch {
            throw RuntimeError(.system, "open the state directory", cause: error)
        }
    }

    /// Waits for the lock.
    func lock() throws(RuntimeError) {
        let raw = directory.raw
        try during("lock container \(id)") { () throws(SystemError) in
            _ = try retrying("flock") { flock(raw, LOCK_EX) }
        }
    }

    func tryLock() -> Bool { flock(directory.raw, LOCK_EX | LOCK_NB) == 0 }

    func unlock() { flock(directory.raw, LOCK_UN) }

    /// nil when a killed runtime left none.
    func record() throws(RuntimeError) -> StateRecord? {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try File.read(StateRecord.fileName, at: directory.raw, limit: 16 << 20)
        } catch  where error.errno == .noEntry {
            return nil
        } catch {
            throw RuntimeError(.system, "read the state of container \(id)", cause: error)
        }
        do throws(JSONError) {
            return try StateRecord(json: try JSON(parsing: bytes))
        } catch {
            throw RuntimeError(.system, "state.json of container \(id): \(error)")
        }
    }

    func write(_ record: StateRecord) throws(RuntimeError) {
        try during("write the state of container \(id)") { () throws(SystemError) in
            // /run is in memory: nothing to sync.
            try File.replace(
                StateRecord.fileName, at: directory.raw, with: record.json.bytes(), mode: 0o600,
                durable: false)
        }
    }

    var isWaitingForStart: Bool { File.exists(StateRecord.fifoName, at: directory.raw) }

    /// Removes the directory and what is in it, unless someone has.
    func remove(root: String) throws(RuntimeError) {
        guard Self.isLinked(directory.raw) else { return }
        for name in [StateRecord.fileName, StateRecord.configName, StateRecord.fifoName] {
            try? File.unlink(name, at: directory.raw)
        }
        try Self.remove(id, root: root)
    }

    static func remove(_ id: String, root: String) throws(RuntimeError) {
        try during("remove the state of container \(id)") { () throws(SystemError) in
            do throws(SystemError) {
                try File.removeDirectory("\(root)/\(id)")
            } catch  where error.errno == .noEntry {
            } catch {
                // A temporary file of a runtime that was killed.
                try File.removeTree("\(root)/\(id)")
            }
        }
    }
}
