import ContainerMonitor
public import LinuxSystem

/// What is stored of a container: who it is and what was asked for. How it
/// fares is never stored here; that is the monitor's record and the kernel's.
public struct ContainerRecord: Sendable {
    public var id: String
    public var name: String
    public var imageID: String
    /// The image's name at the time of creation.
    public var imageName: String
    public var created: Timestamp
    public var spec: ContainerSpec

    public var shortID: String { String(id.prefix(12)) }
}

/// The engine's tables in the store's database.
enum ContainerTable {
    static let room = "engine"
    static let steps = [
        """
        CREATE TABLE containers (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            image_id TEXT NOT NULL,
            image_name TEXT NOT NULL,
            created INTEGER NOT NULL,
            spec TEXT NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX containers_image ON containers (image_id);
        CREATE TABLE container_volumes (
            container TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
            volume TEXT NOT NULL,
            destination TEXT NOT NULL,
            anonymous INTEGER NOT NULL,
            PRIMARY KEY (container, destination)
        ) WITHOUT ROWID;
        CREATE INDEX container_volumes_volume ON container_volumes (volume);
        """
    ]
}
