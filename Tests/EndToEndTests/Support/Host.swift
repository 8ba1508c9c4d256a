import LinuxSystem
import Testing

/// One test's own corner of the machine: a store, a run directory, a scratch directory, names
/// with a prefix of their own. What the test leaves running is removed when it ends, in the
/// reverse order of its making; what should have gone with a container and has not is an issue.
final class Host {
    let scratch: String
    let root: String
    let runRoot: String
    /// Begins the names of what the test makes.
    let prefix: String
    private var cleanups: [() -> Void] = []
    private var busyboxName: String?
    var globals: [String] = []

    /// Directories of tests whose process was killed are recognised by their dead owner.
    private static let base = "/tmp/apus-tests"

    static func with(
        globals: [String] = [], checksLeaks: Bool = true, _ body: (Host) throws -> Void
    ) throws {
        let host = try Host(globals: globals)
        defer { host.cleanUp() }
        let before = Kernel.census()
        try body(host)
        guard checksLeaks else { return }
        host.removeContainers()
        host.runCleanups()
        let left = host.leftovers(since: before)
        #expect(left.isEmpty, "left behind: \(left.joined(separator: "\n  "))")
    }

    private init(globals: [String]) throws {
        Self.sweepDead()
        // Short: podman refuses a run directory of more than 50 characters.
        let random = String(UInt32.random(in: 0...UInt32.max), radix: 36)
        prefix = "t\(random)"
        scratch = "\(Self.base)/\(getpid())/\(random)"
        root = "\(scratch)/root"
        runRoot = "\(scratch)/run"
        self.globals = globals
        try File.makeDirectories("\(scratch)/home")
        try write("{}\n", to: "home/auth.json")
        // podman's own defaults are more than some hosts allow.
        try write(
            "[containers]\ndefault_ulimits = [\"nofile=1024:1024\",\"nproc=4096:4096\"]\n",
            to: "containers.conf")
        try write("short-name-mode = \"permissive\"\n", to: "registries.conf")
    }

    // MARK: Commands

    /// The command under test with the store of this test.
    var command: [String] {
        if Programs.peer == "podman" {
            return ["podman", "--root", root, "--runroot", runRoot, "--cgroup-manager", "cgroupfs"] + globals
        }
        let manager = Programs.usesSystemd ? ["--cgroup-manager", "systemd"] : []
        return [Programs.apus, "--root", root, "--runroot", runRoot] + manager + globals
    }

    var environment: [String] {
        [
            "PATH=\(Programs.searchPath)", "HOME=\(scratch)/home", "TERM=xterm", "LANG=C.UTF-8",
            "REGISTRY_AUTH_FILE=\(scratch)/home/auth.json",
            "CONTAINERS_REGISTRIES_CONF=\(scratch)/registries.conf",
            "CONTAINERS_CONF=\(scratch)/containers.conf",
        ]
    }

    func apus(
        _ arguments: String..., input: ProgramRun.Input = .nothing, timeout: Duration = .seconds(60)
    ) throws -> Finished {
        try ProgramRun.run(command + arguments, input: input, environment: environment, timeout: timeout)
    }

    func apus(
        list arguments: [String], input: ProgramRun.Input = .nothing, timeout: Duration = .seconds(60)
    ) throws -> Finished {
        try ProgramRun.run(command + arguments, input: input, environment: environment, timeout: timeout)
    }

    /// Standard output of a command that must succeed.
    @discardableResult
    func ok(
        _ arguments: String..., input: ProgramRun.Input = .nothing, timeout: Duration = .seconds(60)
    ) throws -> String {
        let finished = try apus(list: arguments, input: input, timeout: timeout)
        guard finished.exit == 0 else { throw Unexpected("\(finished)") }
        return finished.text
    }

    @discardableResult
    func ok(list arguments: [String]) throws -> String {
        let finished = try apus(list: arguments)
        try finished.requireSuccess()
        return finished.text
    }

    /// A command that goes on beside the test.
    func start(_ arguments: String..., input: ProgramRun.Input = .nothing) throws -> ProgramRun {
        try start(list: arguments, input: input)
    }

    func start(list arguments: [String], input: ProgramRun.Input = .nothing) throws -> ProgramRun {
        try ProgramRun(command + arguments, input: input, environment: environment)
    }

    func terminal(_ arguments: String..., rows: UInt16 = 24, columns: UInt16 = 80) throws -> PseudoTerminal {
        try PseudoTerminal(command + arguments, environment: environment, rows: rows, columns: columns)
    }

    // MARK: Things

    func path(_ name: String) -> String { "\(scratch)/\(name)" }

    @discardableResult
    func write(_ text: String, to name: String) throws -> String {
        let path = path(name)
        if let slash = path.lastIndex(of: "/") { try File.makeDirectories(String(path[..<slash])) }
        try File.replace(path, with: Array(text.utf8), durable: false)
        return path
    }

    /// An image with busybox's programs, imported into this test's store on first use.
    func busybox() throws -> String {
        if let busyboxName { return busyboxName }
        let name = "localhost/busybox:latest"
        try ok(
            "import", "--change", "CMD [\"/bin/sh\"]", "--change", "ENV PATH=/bin", try Fixtures.busyboxTar(),
            name)
        busyboxName = name
        return name
    }

    /// A detached container; its id.
    func detached(_ arguments: String...) throws -> String { try detached(list: arguments) }

    func detached(list arguments: [String]) throws -> String {
        let finished = try apus(list: ["run", "-d"] + arguments)
        guard finished.exit == 0, let id = finished.lines.last else { throw Unexpected("\(finished)") }
        return id
    }

    func later(_ cleanup: @escaping () -> Void) { cleanups.append(cleanup) }

    /// Waits until a condition holds, asking it every few milliseconds.
    func eventually(_ what: String, within timeout: Duration = .seconds(20), _ condition: () throws -> Bool)
        throws
    {
        let deadline = ContinuousClock.now + timeout
        while try !condition() {
            guard ContinuousClock.now < deadline else { throw Unexpected("not within \(timeout): \(what)") }
            usleep(20_000)
        }
    }

    // MARK: The end

    fileprivate func removeContainers() {
        guard let list = try? apus("ps", "-aq", "--no-trunc"), list.exit == 0, !list.lines.isEmpty else {
            return
        }
        _ = try? apus(list: ["rm", "-f", "-t", "0"] + list.lines)
    }

    private func runCleanups() {
        while let cleanup = cleanups.popLast() { cleanup() }
    }

    private func cleanUp() {
        removeContainers()
        runCleanups()
        Self.destroy(scratch)
        rmdir("\(Self.base)/\(getpid())")
    }

    private func leftovers(since before: Kernel.Census) -> [String] {
        var left: [String] = []
        // A monitor and the kernel may need a moment after `rm` came back.
        for _ in 0..<100 {
            left = Kernel.mounts().filter { $0.hasPrefix(scratch) }.map { "mount \($0)" }
            // What writes out what a command added ends by itself, when the disk has it.
            left += Kernel.processes(mentioning: scratch).filter { !$0.contains(" system sweep") }.map {
                "process \($0)"
            }
            if Programs.peer == nil { left += Kernel.census().newer(than: before) }
            if Programs.peer != nil { left.removeAll { $0.hasSuffix("/root/overlay") } }
            if left.isEmpty { return [] }
            usleep(20_000)
        }
        return left
    }

    /// Removes a test's directory whatever is mounted or running there.
    private static func destroy(_ directory: String) {
        for process in Kernel.processes(mentioning: directory) {
            if let pid = Int32(process.prefix { $0 != " " }), pid != getpid() { kill(pid, SIGKILL) }
        }
        for _ in 0..<10 {
            let mounts = Kernel.mounts().filter { $0.hasPrefix(directory + "/") }
            if mounts.isEmpty { break }
            for mount in mounts.reversed() { umount2(mount, Int32(MNT_DETACH)) }
        }
        try? File.removeTree(directory)
    }

    private static func sweepDead() {
        for name in (try? File.names(in: base)) ?? [] {
            guard let pid = pid_t(name), pid != getpid(), kill(pid, 0) != 0 else { continue }
            destroy("\(base)/\(name)")
        }
    }
}

extension Host {
    /// Removes every container of this test's store now.
    func removeAll() { removeContainers() }
}
