import ContainerMonitor
import ContainerNetwork
import ContainerRuntime
import ContainerStorage
import LinuxSystem

extension Engine {
    /// Removes a container and what is its own.
    /// - Parameters:
    ///   - force: kill it first when it runs.
    ///   - volumes: its anonymous volumes too.
    public func remove(_ record: ContainerRecord, force: Bool, volumes: Bool) throws(EngineError) {
        while true {
            if force { try stop(record, timeout: 0, signal: SIGKILL) }
            guard let lock = try lockAfterLastRun(record) else { return }
            guard let status = try status(of: record.id), status.monitor != nil || status.process != nil
            else {
                deleteFromRuntime(record)
                try erase(record.id, volumes: volumes)
                _ = consume lock
                return sweep()
            }
            guard force else {
                throw EngineError(
                    .conflict,
                    "container \(record.name) (\(record.shortID)) is \(ContainerState(status).status.rawValue): stop it first, or use --force"
                )
            }
            // Between the stop and the lock someone started it.
            _ = consume lock
        }
    }

    /// The container's files go before its row: one whose removal was cut short
    /// is still listed, and can be removed again.
    private func erase(_ id: String, volumes: Bool) throws(EngineError) {
        takeDown(id)
        try engineErrors("remove container \(id.prefix(12))") {
            try File.removeTree(stateDirectory(of: id))
            try File.removeTree(directory(of: id))
            var anonymous: [String] = []
            try store.removeSnapshot(id) { connection throws(StorageError) in
                anonymous = try connection.rows(
                    "SELECT volume FROM container_volumes WHERE container = ? AND anonymous = 1", id,
                    read: { $0.text(0) })
                try connection.execute("DELETE FROM containers WHERE id = ?", id)
            }
            if volumes {
                for name in anonymous { try? store.removeVolume(name, unlessUsed: Self.user(ofVolume: name)) }
            }
            try? File.unlink("\(root)/locks/container-\(id)")
        }
    }

    /// Removes what killed processes left: half-made file systems, partial
    /// downloads, addresses of interfaces that are gone. Best effort, for what
    /// is left stays until the next command; cheap when there is nothing.
    public func sweep() {
        _ = try? store.sweep()
        sweepHolds()
        _ = try? network.sweep()
    }

    /// Removes all that was taken away and is not removed yet, and writes out what was added, with
    /// little haste: what a command has another process do that it would have to wait for.
    public func finishWork() throws(EngineError) {
        _ = nice(10)
        try engineErrors { try store.finishWork() }
        sweep()
    }

    /// Has the runtime forget a container whose monitor could not tell it to.
    func deleteFromRuntime(_ record: ContainerRecord) {
        guard File.exists("\(runtimeRoot)/\(record.id)") else { return }
        guard let program = record.spec.runtime else {
            try? Runtime(root: runtimeRoot).delete(record.id, force: true)
            return
        }
        let arguments = [program, "--root", runtimeRoot, "delete", "--force", record.id]
        if let pid = try? Spawn.start(program, arguments) { _ = try? Spawn.wait(pid) }
    }

    /// Takes down what an ended container left: network, mounts, the runtime's
    /// state. The monitor's last act, and any later command's when the monitor
    /// was killed. It may be called again.
    public func cleanUp(_ name: String, remove: Bool) throws(EngineError) {
        guard let record = try? find(name) else { return }
        do {
            let lock = try lock(record.id)
            // The monitor that called us still lives; a container that runs again is not ours to touch.
            if let status = try status(of: record.id), status.process != nil { return }
            deleteFromRuntime(record)
            if remove {
                try erase(record.id, volumes: true)
            } else {
                takeDown(record.id)
            }
            _ = consume lock
        }
    }
}
