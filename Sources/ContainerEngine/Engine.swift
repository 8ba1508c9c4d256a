import ContainerMonitor
import ContainerNetwork
public import ContainerStorage
import LinuxSystem

/// Containers, over images, storage, networks and the runtime: what all faces
/// share. It keeps no state of its own in memory; any number of engines in any
/// number of processes may work on one store.
public final class Engine: Sendable {
    public let store: Store
    /// Where images, containers and volumes live.
    public let root: String
    /// Where the state lives that a reboot may take.
    public let runRoot: String
    let programs: Programs

    public static let defaultRoot = "/var/lib/apus"
    public static let defaultRunRoot = "/run/apus"

    private init(store: Store, root: String, runRoot: String, programs: Programs) {
        self.store = store
        self.root = root
        self.runRoot = runRoot
        self.programs = programs
    }

    /// Opens the engine over a store, which is made when it is not there.
    /// - Parameters:
    ///   - driver: the storage driver; nil for the store's own, or the best for a new one.
    ///   - leavesWork: what nobody need wait for is done by another process.
    ///   - mayMake: makes a store where there is none.
    public static func open(
        root: String?, runRoot: String?, driver: String? = nil, leavesWork: Bool = true,
        mayMake: Bool = true
    ) throws(EngineError) -> Engine {
        guard geteuid() == 0 else {
            throw EngineError(.failed, "apus needs root here: run it as root, or with sudo")
        }
        let root = try PathText.absolute(root ?? defaultRoot)
        // A store of one's own without a runroot of its own keeps its state beside
        // itself: two stores must not share the state of their containers.
        let runRoot = try PathText.absolute(runRoot ?? (root == defaultRoot ? defaultRunRoot : root + "/run"))
        let programs = Programs()
        let leaveWork: @Sendable () -> Void = {
            let arguments = [
                programs.own, "--root", root, "--runroot", runRoot, "system", "sweep", "--mount-namespace",
                "3",
            ]
            // This may be a thread with mounts of its own, and /proc/self is the process.
            guard let mounts = try? File.open("/proc/self/ns/mnt", O_RDONLY) else { return }
            _ = try? Spawn.start(
                programs.own, arguments, descriptors: [nil, nil, nil, mounts.raw], newSession: true)
        }
        let store = try engineErrors {
            try Store.open(
                root: root, runRoot: runRoot, driver: driver, leaveWork: leavesWork ? leaveWork : nil,
                session: nil, mayMake: mayMake)
        }
        try engineErrors {
            try store.database.migrate(room: ContainerTable.room, steps: ContainerTable.steps)
        }
        return Engine(store: store, root: root, runRoot: runRoot, programs: programs)
    }

    /// The container's directory in the store: what must outlive a reboot.
    func directory(of id: String) -> String { "\(root)/containers/\(id)" }

    /// The container's directory in the runroot.
    func stateDirectory(of id: String) -> String { "\(runRoot)/containers/\(id)" }

    var runtimeRoot: String { "\(runRoot)/runtime" }

    /// One container's lock. Whoever changes what a container is holds it;
    /// whoever only looks or signals does not.
    func lock(_ id: String) throws(EngineError) -> FileLock {
        try engineErrors { try FileLock("\(root)/locks/container-\(id)") }
    }
}

/// The other programs of the stack: beside our own, or in ../libexec/apus.
struct Programs: Sendable {
    let own: String
    private let directory: String

    init() {
        let own = (try? File.readLink("/proc/self/exe")) ?? "/usr/bin/apus"
        self.own = own
        directory = own.lastIndex(of: "/").map { String(own[..<$0]) } ?? "/usr/bin"
    }

    func find(_ name: String) throws(EngineError) -> String {
        let places = ["\(directory)/\(name)", PathText.normalized("\(directory)/../libexec/apus/\(name)")]
        for place in places where access(place, X_OK) == 0 { return place }
        throw EngineError(
            .failed, "\(name) is neither at \(places[0]) nor at \(places[1]): install the whole of apus")
    }
}
