import JSONText
import LinuxSystem

/// A named volume: a directory that outlives containers.
public struct VolumeRecord: Sendable, Equatable {
    public var name: String
    /// The absolute path of its content.
    public var path: String
    /// It was named by us and goes with its container.
    public var anonymous: Bool
    public var labels: [String: String]
    /// In nanoseconds since 1970.
    public var created: Int64
}

extension Store {
    /// Makes a volume, or finds the one that has the name.
    /// - Parameters:
    ///   - exclusively: one that is there is an error.
    ///   - durable: it survives a power failure from now on, and so may what is put into it.
    @discardableResult
    public func createVolume(
        _ name: String, anonymous: Bool = false, labels: [String: String] = [:], exclusively: Bool = false,
        durable: Bool = true
    ) throws(StorageError) -> VolumeRecord {
        let operation = "create volume"
        try Self.check(name, operation)
        let lock = try ObjectLock("volume-\(name)", in: directory.raw)
        defer { lock.keep() }
        if let volume = try volume(name) {
            if exclusively { throw StorageError(.exists, operation, name, "it exists") }
            return volume
        }
        // The data of one whose removal was cut short must not come back.
        try storing(operation, name) { () throws(SystemError) in try discard("volumes/\(name)", as: "volume")
        }
        try database.write(durable: durable) { connection throws(StorageError) in
            _ = try connection.execute(
                "INSERT INTO volume VALUES(?, ?, ?, 0, ?)", name, anonymous, labels.json.text(),
                Now.unixNanoseconds)
        }
        return try volume(name)!
    }

    public func volume(_ name: String) throws(StorageError) -> VolumeRecord? {
        try volumes("WHERE name = ?", [name]).first
    }

    /// All volumes, by name.
    public func volumes() throws(StorageError) -> [VolumeRecord] { try volumes("ORDER BY name", []) }

    private func volumes(_ clause: String, _ values: [String]) throws(StorageError) -> [VolumeRecord] {
        let read = { (row: Row) in
            VolumeRecord(
                name: row.text(0), path: "\(self.root)/volumes/\(row.text(0))/_data", anonymous: row.bool(1),
                labels: (try? [String: String](json: JSON(parsing: row.text(2)))) ?? [:],
                created: row.integer(3))
        }
        return try database.read { connection throws(StorageError) in
            let sql = "SELECT name, anonymous, labels, created FROM volume " + clause
            return if let value = values.first {
                try connection.rows(sql, value, read: read)
            } else {
                try connection.rows(sql, read: read)
            }
        }
    }

    /// The directory of a volume's content, to mount. An empty volume's first
    /// user gets there what the image has at the place where it is mounted.
    /// - Parameters:
    ///   - content: a directory in the container's root file system whose
    ///     content and metadata are copied in, once in the volume's life and
    ///     only if it is empty; nil to leave it alone.
    /// - Returns: the absolute path.
    public func prepareVolume(_ name: String, copyUp content: Int32? = nil) throws(StorageError) -> String {
        let operation = "prepare volume"
        try Self.check(name, operation)
        let lock = try ObjectLock("volume-\(name)", in: directory.raw)
        defer { lock.keep() }
        guard let volume = try volume(name) else {
            throw StorageError(.notFound, operation, name, "there is no such volume")
        }
        try storing(operation, name) { () throws(SystemError) in
            for (path, mode) in [("volumes/\(name)", 0o711), ("volumes/\(name)/_data", 0o755)]
                as [(String, mode_t)]
            {
                do throws(SystemError) {
                    try File.makeDirectory(path, at: directory.raw, exactly: mode)
                } catch  where error.errno == .exists {}
            }
        }
        if let content { try copyUp(content, into: name) }
        return volume.path
    }

    private func copyUp(_ content: Int32, into name: String) throws(StorageError) {
        let populated = try database.read { connection throws(StorageError) in
            try connection.first("SELECT populated FROM volume WHERE name = ?", name) { $0.bool(0) } ?? true
        }
        if populated { return }
        let data = "volumes/\(name)/_data"
        try storing("copy the image's content into volume", name) { () throws(SystemError) in
            if try File.names(in: data, at: directory.raw).isEmpty {
                // Beside its place, so that one cut short is not taken for the content.
                let partial = "volumes/\(name)/copy"
                try TreeRemoval.remove(partial, at: directory.raw)
                try File.makeDirectory(partial, at: directory.raw, mode: 0o700)
                let source = try File.open(".", at: content, O_RDONLY | O_DIRECTORY)
                let target = try File.open(partial, at: directory.raw, O_RDONLY | O_DIRECTORY)
                do throws(SystemError) {
                    try TreeCopy.copy(contentsOf: source, to: target)
                    // Over the empty directory.
                    try File.rename(partial, to: data, at: directory.raw)
                } catch {
                    _ = try? TreeRemoval.remove(partial, at: directory.raw)
                    throw error
                }
            }
        }
        _ = try database.write { connection throws(StorageError) in
            try connection.execute("UPDATE volume SET populated = 1 WHERE name = ?", name)
        }
    }

    /// Removes a volume and its data.
    /// - Parameter user: looks, in the same transaction, for a container that
    ///   uses it; its answer names it.
    /// - Throws: `inUse`, `notFound`.
    public func removeVolume(
        _ name: String,
        unlessUsed user: (Connection) throws(StorageError) -> String? = { _ throws(StorageError) in nil }
    ) throws(StorageError) {
        let operation = "remove volume"
        try Self.check(name, operation)
        let lock = try ObjectLock("volume-\(name)", in: directory.raw)
        try database.write(durable: true) { connection throws(StorageError) in
            if let user = try user(connection) {
                throw StorageError(.inUse, operation, name, "it is used by \(user)")
            }
            guard try connection.execute("DELETE FROM volume WHERE name = ?", name) > 0 else {
                throw StorageError(.notFound, operation, name, "there is no such volume")
            }
        }
        try storing(operation, name) { () throws(SystemError) in try discard("volumes/\(name)", as: "volume")
        }
        _ = consume lock
        try emptyTrash()
    }

    /// A volume's directory without a row: its removal was cut short.
    func sweepVolume(_ name: String) throws(StorageError) -> Bool {
        guard let lock = try ObjectLock.attempt("volume-\(name)", in: directory.raw) else { return false }
        defer { lock.keep() }
        if try volume(name) != nil { return false }
        try storing("remove volume", name) { () throws(SystemError) in
            try discard("volumes/\(name)", as: "volume")
        }
        return true
    }
}
