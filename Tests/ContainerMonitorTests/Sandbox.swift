import JSONText
import LinuxSystem

@testable import ContainerMonitor

/// One test's bundle, records and container; all of it is gone with the value.
final class Sandbox {
    let directory: String
    let id: String
    var request: MonitorRequest
    var monitor: MonitorProcess?

    /// The built-in one, and a peer's where it is installed.
    static let runtimes: [String?] = [nil] + ["/usr/sbin/runc"].filter { File.exists($0) }
    private static let busybox = "/usr/bin/busybox"

    /// All programs are built into the same directory as the tests.
    static let programs: String = {
        let own = (try? File.readLink("/proc/self/exe")) ?? ""
        return String(own[..<(own.lastIndex(of: "/") ?? own.startIndex)])
    }()
    static let program = programs + "/apus-monitor"

    init(
        _ command: [String], terminal: Bool = false, log: LogConfiguration.Driver = .jsonFile,
        runtime: String? = nil, network: String? = nil, memory: Int64? = nil
    ) throws {
        id = "apus-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        directory = "/tmp/\(id)"
        try File.makeDirectories(directory + "/rootfs/bin")
        for name in ["proc", "dev", "sys", "tmp"] { try File.makeDirectory(directory + "/rootfs/" + name) }
        let source = try File.open(Self.busybox)
        let copy = try File.open(directory + "/rootfs/bin/busybox", O_WRONLY | O_CREAT, mode: 0o755)
        while copy_file_range(source.raw, nil, copy.raw, nil, 1 << 30, 0) > 0 {}
        for name in ["sh", "cat", "echo", "sleep", "true", "seq", "stty", "tty", "dd", "yes", "head", "od"] {
            try File.makeSymbolicLink(to: "busybox", directory + "/rootfs/bin/" + name)
        }
        request = MonitorRequest(
            id: id, bundle: directory, runtimeRoot: directory + "/runtime",
            log: LogConfiguration(log, path: directory + "/log"), attachSocket: directory + "/attach",
            statusPath: directory + "/status.json", exitPath: directory + "/exit.json")
        request.runtime = runtime
        request.terminal = terminal
        try write(command, network, memory)
    }

    deinit {
        monitor = nil
        if let status = try? status() {
            if let process = status.monitor { kill(process.pid, SIGKILL) }
            if let process = status.process { kill(process.pid, SIGKILL) }
        }
        let runtime = request.runtime ?? Self.programs + "/apus-runtime"
        _ = try? Spawn.wait(
            Spawn.start(runtime, [runtime, "--root", request.runtimeRoot, "delete", "-f", id]))
        try? File.removeTree(directory)
    }

    private func write(_ command: [String], _ network: String?, _ memory: Int64?) throws {
        var networkNamespace: JSONObject = ["type": "network"]
        networkNamespace.set("path", network)
        let mount: (String, String, [JSON]) -> JSON = {
            ["destination": .string($0), "type": .string($1), "source": .string($1), "options": .array($2)]
        }
        let config: JSON = [
            "ociVersion": "1.0.2",
            "process": [
                "terminal": .bool(request.terminal), "user": ["uid": 0, "gid": 0],
                "args": .array(command.map { .string($0) }), "env": ["PATH=/bin", "TERM=xterm"], "cwd": "/",
            ],
            "root": ["path": "rootfs"],
            "mounts": [
                mount("/proc", "proc", []), mount("/dev", "tmpfs", ["nosuid", "mode=755"]),
                mount("/dev/pts", "devpts", ["nosuid", "newinstance", "ptmxmode=0666", "mode=0620"]),
            ],
            "linux": [
                "cgroupsPath": .string("/" + id),
                "namespaces": [
                    ["type": "pid"], ["type": "ipc"], ["type": "uts"], ["type": "mount"],
                    .object(networkNamespace),
                ],
                "resources": memory.map { ["memory": ["limit": .integer($0)]] } ?? .emptyObject,
            ],
        ]
        try File.replace(directory + "/config.json", with: config.bytes(), durable: false)
    }

    func launch() throws {
        let monitor = try MonitorProcess.launch(Self.program, request)
        self.monitor = monitor
        try monitor.waitUntilCreated()
    }

    /// Creates and starts with nobody attached.
    func start() throws {
        try launch()
        try monitor?.start()
    }

    func status() throws -> ContainerStatus? {
        try ContainerStatus.read(statusPath: request.statusPath, exitPath: request.exitPath)
    }

    /// Waits until the records say what is wanted, 20 seconds at most.
    @discardableResult
    func wait(for wanted: (ContainerStatus) -> Bool) throws -> ContainerStatus? {
        for _ in 0..<2000 {
            if let status = try status(), wanted(status) { return status }
            usleep(10_000)
        }
        return nil
    }

    @discardableResult
    func waitForExit() throws -> ContainerStatus? { try wait { $0.phase == .exited && $0.monitor == nil } }

    func log() throws -> String { try File.readText(request.log.path) }
}

/// What a relay reads from and writes to, in pipes.
final class LocalPipes {
    var typed: SharedDescriptor?
    private var input: SharedDescriptor?
    private var output: SharedDescriptor?
    private var error: SharedDescriptor?
    private let printed: SharedDescriptor
    private let complained: SharedDescriptor

    init() throws {
        func ends() throws -> (SharedDescriptor, SharedDescriptor) {
            let pipe = try FD.pipe()
            let writing = pipe.writing.take()
            return (SharedDescriptor(pipe.reading), SharedDescriptor(Descriptor(owning: writing)))
        }
        (input, typed) = try ends()
        (printed, output) = try ends()
        (complained, error) = try ends()
    }

    func type(_ text: String) throws { try FD.writeAll(typed!.raw, text) }
    func endInput() { typed = nil }

    var local: StreamRelay.Local {
        .init(input: input!.raw, output: output!.raw, error: error!.raw)
    }

    /// What came out, once no relay writes any more.
    func results() throws -> (output: String, error: String) {
        (output, error, input) = (nil, nil, nil)
        return (
            String(decoding: try FD.readAll(printed.raw, limit: 1 << 30), as: UTF8.self),
            String(decoding: try FD.readAll(complained.raw, limit: 1 << 30), as: UTF8.self)
        )
    }
}
