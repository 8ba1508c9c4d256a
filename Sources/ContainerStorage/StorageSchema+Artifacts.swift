extension StorageSchema {
    /// An artifact is its name: nothing else refers to it.
    static let artifacts = """
        CREATE TABLE artifact(
            name TEXT PRIMARY KEY,
            digest TEXT NOT NULL,
            media_type TEXT NOT NULL, size INTEGER NOT NULL,
            added INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX artifact_digest ON artifact(digest);

        CREATE TABLE artifact_blob(
            artifact TEXT NOT NULL REFERENCES artifact(name) ON DELETE CASCADE,
            digest TEXT NOT NULL,
            PRIMARY KEY(artifact, digest)) WITHOUT ROWID;
        """
}
