import ContainerMonitor
import ContainerStorage
import JSONText
import LinuxSystem

extension Engine {
    /// The container of that name, ID or unambiguous beginning of an ID.
    public func find(_ text: String) throws(EngineError) -> ContainerRecord {
        guard !text.isEmpty else { throw EngineError(.invalid, "a container's name or ID must not be empty") }
        let found = try engineErrors {
            try store.database.read { connection throws(StorageError) in
                let exact = try Self.records(connection, "name = ?1 OR id = ?1", text)
                if !exact.isEmpty || !text.allSatisfy(\.isHexDigit) { return exact }
                return try Self.records(
                    connection, "id >= ?1 AND id < ?1 || 'g' LIMIT 2", text.lowercased())
            }
        }
        guard let first = found.first else { throw .noContainer(text) }
        guard found.count == 1 else {
            throw EngineError(
                .conflict,
                "\"\(text)\" means more than one container (\(found.map(\.shortID).joined(separator: ", "))): give more of the ID"
            )
        }
        return first
    }

    /// All containers, the newest first.
    func records() throws(EngineError) -> [ContainerRecord] {
        try engineErrors {
            try store.database.read { connection throws(StorageError) in
                try Self.records(connection, "1 ORDER BY created DESC")
            }
        }
    }

    static func records(
        _ connection: Connection, _ condition: String, _ value: String? = nil
    ) throws(StorageError) -> [ContainerRecord] {
        let sql = "SELECT id, name, image_id, image_name, created, spec FROM containers WHERE \(condition)"
        let read = { (row: Row) throws(StorageError) -> ContainerRecord in
            let text = row.text(5)
            do throws(JSONError) {
                return ContainerRecord(
                    id: row.text(0), name: row.text(1), imageID: row.text(2), imageName: row.text(3),
                    created: Timestamp(nanoseconds: row.integer(4)),
                    spec: try ContainerSpec(json: JSON(parsing: text)))
            } catch {
                throw StorageError(.damaged, "read the container", row.text(0), "\(error)")
            }
        }
        guard let value else { return try connection.rows(sql, read: read) }
        return try connection.rows(sql, value, read: read)
    }
}
