import JSONText
import LinuxSystem
import OCISpec
import Testing

/// One test's bundle of busybox and the runtime's state directory; all of it is
/// gone with the value. `APUS_PEER=runc` runs the tests against that, which
/// proves them.
final class RuntimeFixture {
    struct Outcome {
        var code: Int32
        var output: String
    }

    static let peer = getenv("APUS_PEER").map { String(cString: $0) }
    static var isOurs: Bool { peer == nil }

    /// All programs are built into the same directory as the tests.
    static let program: String = {
        if let peer { return peer }
        let own = (try? File.readLink("/proc/self/exe")) ?? ""
        return own[..<(own.lastIndex(of: "/") ?? own.startIndex)] + "/apus-runtime"
    }()

    let directory: String
    let id: String
    var config: RuntimeConfig
    var root: String { directory + "/state" }
    var rootfs: String { directory + "/rootfs" }
    private var made: Set<String> = []

    init() throws {
        id = "apus-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        directory = "/tmp/\(id)"
        try File.makeDirectories(directory + "/rootfs/bin")
        for name in ["proc", "dev", "sys", "tmp", "etc", "mnt"] {
            try File.makeDirectory(directory + "/rootfs/" + name)
        }
        try Self.copy("/bin/busybox", to: directory + "/rootfs/bin/busybox")
        let applets = [
            "sh", "cat", "echo", "sleep", "true", "false", "id", "ls", "grep", "touch", "mkdir", "hostname",
            "pwd",
            "stat", "head", "wc", "readlink", "cut", "ps", "tty", "stty", "mount", "umount", "env", "kill",
            "seq",
        ]
        for name in applets { try File.makeSymbolicLink(to: "busybox", directory + "/rootfs/bin/" + name) }
        config = Self.defaultConfig(rootfs: directory + "/rootfs")
    }

    deinit {
        for id in made {
            _ = try? Spawn.wait(
                Spawn.start(
                    Self.program, ["runtime", "--root", root, "delete", "--force", id],
                    descriptors: [nil, nil, nil]))
        }
        try? File.removeTree(directory)
    }

    /// By another process: a descriptor open for writing here could be in a child of another test
    /// when the copy is executed (ETXTBSY).
    private static func copy(_ source: String, to target: String) throws {
        _ = try Spawn.wait(
            Spawn.start("/bin/cp", ["cp", source, target], descriptors: [nil, nil, nil]))
        chmod(target, 0o755)
    }

    private static func defaultConfig(rootfs: String) -> RuntimeConfig {
        var config = RuntimeConfig(ociVersion: "1.0.2")
        var process = ProcessSpec(args: ["/bin/true"], env: ["PATH=/bin", "TERM=xterm"], cwd: "/")
        let names = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
        process.capabilities = Capabilities(bounding: names, effective: names, permitted: names)
        process.noNewPrivileges = true
        config.process = process
        config.root = RootSpec(path: rootfs, readonly: true)
        config.hostname = "fixture"
        config.mounts = [
            MountSpec(destination: "/proc", type: "proc", source: "proc"),
            MountSpec(destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"]),
            MountSpec(
                destination: "/dev/pts", type: "devpts", source: "devpts",
                options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            MountSpec(
                destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["nosuid", "mode=1777"]),
            MountSpec(
                destination: "/sys", type: "sysfs", source: "sysfs",
                options: ["nosuid", "noexec", "nodev", "ro"]),
        ]
        var linux = LinuxSpec()
        linux.namespaces = [.pid, .network, .ipc, .uts, .mount].map { LinuxNamespace($0) }
        linux.maskedPaths = [
            "/proc/keys", "/proc/timer_list", "/proc/acpi", "/sys/firmware", "/proc/nothing",
        ]
        linux.readonlyPaths = ["/proc/sys", "/proc/irq", "/proc/nothing"]
        config.linux = linux
        return config
    }

    // MARK: - Running

    func shell(_ script: String) { config.process?.args = ["/bin/sh", "-c", script] }

    func write(_ path: String, _ text: String, mode: mode_t = 0o644) throws {
        let file = try File.open(directory + "/" + path, O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
        try FD.writeAll(file.raw, text)
    }

    func save() throws {
        try File.replace(directory + "/config.json", with: config.json.bytes(), durable: false)
    }

    /// Runs the container to its end.
    func run(_ flags: [String] = []) throws -> Outcome {
        try save()
        return try command(["run", "--bundle", directory] + flags + [id])
    }

    /// Makes it and leaves it waiting.
    @discardableResult
    func create(_ flags: [String] = []) throws -> Outcome {
        try save()
        return try command(["create", "--bundle", directory] + flags + [id])
    }

    /// Starts the runtime and waits for it.
    @discardableResult
    func command(_ arguments: [String]) throws -> Outcome {
        made.insert(id)
        let pid = try start(arguments)
        let status = try Spawn.wait(pid)
        return Outcome(code: status.exitCode, output: output)
    }

    /// Starts the runtime without waiting.
    func start(_ arguments: [String]) throws -> pid_t {
        made.insert(id)
        let file = try File.open(directory + "/output", O_RDWR | O_CREAT | O_TRUNC | O_APPEND)
        return try Spawn.start(
            Self.program, ["runtime", "--root", root] + arguments, descriptors: [nil, file.raw, file.raw])
    }

    /// What the last command, and what it started, have printed so far.
    var output: String { (try? File.readText(directory + "/output")) ?? "" }

    var status: String? {
        guard let outcome = try? command(["state", id]), outcome.code == 0,
            let json = try? JSON(parsing: outcome.output)
        else { return nil }
        return json["status"]?.string
    }

    func waitFor(_ wanted: String) -> Bool {
        for _ in 0..<200 {
            if status == wanted { return true }
            usleep(20_000)
        }
        return false
    }

    /// The number of control groups that carry the fixture's id.
    var cgroupCount: Int {
        let hierarchies = ((try? File.names(in: "/sys/fs/cgroup")) ?? []) + ["."]
        return hierarchies.count { name in
            File.exists("/sys/fs/cgroup/\(name)/apus/\(id)") || File.exists("/sys/fs/cgroup/\(name)/\(id)")
        }
    }
}

extension String {
    var lines: [String] { split(separator: "\n").map(String.init) }
}

/// The tests that run containers.
@Suite(.serialized, .enabled(if: geteuid() == 0, "containers need root"))
enum RuntimeTests {}
