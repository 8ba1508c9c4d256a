import ContainerMonitor
public import ContainerStorage
import LinuxSystem

extension Engine {
    /// Moves all images and containers to another storage driver.
    /// - Throws: `conflict` when a container runs.
    public func migrate(to driver: SnapshotterName) throws(EngineError) -> Migrated {
        var held: [SharedLock] = []
        for record in try records() {
            // So that none starts meanwhile.
            held.append(SharedLock(try lock(record.id)))
            if let status = try status(of: record.id), status.process != nil || status.monitor != nil {
                throw EngineError(
                    .conflict, "container \(record.name) (\(record.shortID)) is running: stop it first")
            }
            // What a killed one has mounted.
            takeDown(record.id)
        }
        let migrated = try engineErrors { try store.migrate(to: driver) }
        _ = consume held
        sweep()
        return migrated
    }
}

private final class SharedLock {
    private let lock: FileLock
    init(_ lock: consuming FileLock) { self.lock = lock }
}
