public import LayerArchive

extension Store {
    /// The size of an unpacked layer's files, in bytes; nil when it is not here.
    public func layerSize(_ diffID: Digest) throws(StorageError) -> Int64? {
        try database.read { connection throws(StorageError) in
            try connection.first(
                "SELECT size FROM layer WHERE diff_id = ? ORDER BY driver = ? DESC LIMIT 1", diffID, driver
            ) { $0.integer(0) }
        }
    }
}
