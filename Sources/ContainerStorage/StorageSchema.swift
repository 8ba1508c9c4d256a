/// The tables of this room. References are rows, never counters: what nothing
/// refers to is found by a query.
enum StorageSchema {
    static let room = "storage"

    static let steps = [
        """
        CREATE TABLE setting(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

        CREATE TABLE layer(
            driver TEXT NOT NULL, diff_id TEXT NOT NULL, size INTEGER NOT NULL,
            PRIMARY KEY(driver, diff_id)) WITHOUT ROWID;

        CREATE TABLE image(
            id TEXT PRIMARY KEY,
            manifest TEXT NOT NULL,
            created TEXT, os TEXT NOT NULL, architecture TEXT NOT NULL, variant TEXT,
            size INTEGER NOT NULL,
            added INTEGER NOT NULL) WITHOUT ROWID;

        CREATE TABLE image_layer(
            image TEXT NOT NULL REFERENCES image(id) ON DELETE CASCADE,
            position INTEGER NOT NULL, diff_id TEXT NOT NULL,
            PRIMARY KEY(image, position)) WITHOUT ROWID;
        CREATE INDEX image_layer_diff_id ON image_layer(diff_id);

        CREATE TABLE manifest(
            digest TEXT PRIMARY KEY,
            image TEXT NOT NULL REFERENCES image(id) ON DELETE CASCADE,
            media_type TEXT NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX manifest_image ON manifest(image);

        CREATE TABLE manifest_blob(
            manifest TEXT NOT NULL REFERENCES manifest(digest) ON DELETE CASCADE,
            digest TEXT NOT NULL,
            PRIMARY KEY(manifest, digest)) WITHOUT ROWID;

        CREATE TABLE name(
            name TEXT PRIMARY KEY,
            image TEXT NOT NULL REFERENCES image(id) ON DELETE CASCADE,
            manifest TEXT NOT NULL REFERENCES manifest(digest)) WITHOUT ROWID;
        CREATE INDEX name_image ON name(image);

        CREATE TABLE repo_digest(
            image TEXT NOT NULL REFERENCES image(id) ON DELETE CASCADE,
            value TEXT NOT NULL,
            PRIMARY KEY(image, value)) WITHOUT ROWID;
        CREATE INDEX repo_digest_value ON repo_digest(value);

        CREATE TABLE snapshot(
            id TEXT PRIMARY KEY,
            image TEXT,
            driver TEXT NOT NULL,
            volatile INTEGER NOT NULL,
            created INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX snapshot_image ON snapshot(image);

        CREATE TABLE snapshot_layer(
            snapshot TEXT NOT NULL REFERENCES snapshot(id) ON DELETE CASCADE,
            position INTEGER NOT NULL, diff_id TEXT NOT NULL,
            PRIMARY KEY(snapshot, position)) WITHOUT ROWID;
        CREATE INDEX snapshot_layer_diff_id ON snapshot_layer(diff_id);

        CREATE TABLE volume(
            name TEXT PRIMARY KEY,
            anonymous INTEGER NOT NULL,
            labels TEXT NOT NULL,
            populated INTEGER NOT NULL,
            created INTEGER NOT NULL) WITHOUT ROWID;
        """,
        """
        CREATE TABLE unwritten(
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            driver TEXT NOT NULL, diff_id TEXT NOT NULL,
            session TEXT NOT NULL,
            UNIQUE(driver, diff_id),
            FOREIGN KEY(driver, diff_id) REFERENCES layer(driver, diff_id) ON DELETE CASCADE);
        """,
        artifacts,
    ]
}
