import JSONText
import LinuxSystem

/// Another OCI runtime, executed: `runc`, `crun` and those with their command line.
struct ExternalRuntime: ContainerRuntimeDriver {
    let program: String
    let request: MonitorRequest

    /// Where the runtime's answers are left: beside the status record.
    private func scratch(_ name: String) -> String {
        let slash = request.statusPath.lastIndex(of: "/") ?? request.statusPath.startIndex
        return request.statusPath[..<slash] + "/runtime-" + name
    }

    func create(_ stdio: ContainerStdio) throws(MonitorError) -> CreatedProcess {
        try nameOurDescriptors()
        let pidFile = scratch("pid")
        var arguments = ["create", "--bundle", request.bundle, "--pid-file", pidFile]
        var console: SharedDescriptor?
        let consolePath = scratch("console")
        if request.terminal {
            console = SharedDescriptor(
                try system { () throws(SystemError) in
                    try UnixSocket.listen(consolePath, .stream, nonBlocking: true)
                })
            arguments += ["--console-socket", consolePath]
        }
        defer {
            try? File.unlink(pidFile)
            if console != nil { try? File.unlink(consolePath) }
        }
        try run(
            arguments + [request.id],
            request.terminal ? [nil, nil, nil] : [stdio.input, stdio.output, stdio.error])
        let text = try system { () throws(SystemError) in try File.readText(pidFile) }
        guard let pid = Int32(text.split(separator: "\n").first ?? ""), pid > 0 else {
            throw MonitorError(.runtime, "\(program) create left no process id")
        }
        var created = CreatedProcess(pid: pid, terminal: nil)
        if let console {
            // The runtime has exited: what it sent waits on the socket.
            created.terminal = try system { () throws(SystemError) in
                guard let connection = try UnixSocket.accept(console.raw) else { return nil }
                var message = try UnixSocket.receive(connection.raw)
                return message.descriptors.takeFirst()
            }
            guard created.terminal != nil else {
                throw MonitorError(.runtime, "\(program) create sent no terminal")
            }
        }
        return created
    }

    func start() throws(MonitorError) { try run(["start", request.id]) }

    func delete() throws(MonitorError) { try run(["delete", "--force", request.id]) }

    private func run(_ arguments: [String], _ descriptors: [Int32?] = [nil, nil, nil]) throws(MonitorError) {
        let log = scratch("log")
        try? File.unlink(log)
        defer { try? File.unlink(log) }
        let status = try system { () throws(SystemError) in
            let pid = try Spawn.start(
                program,
                [program, "--root", request.runtimeRoot, "--log", log, "--log-format", "json"]
                    + (request.isSystemdScope ? ["--systemd-cgroup"] : []) + arguments,
                descriptors: descriptors)
            return try Spawn.wait(pid)
        }
        if status.exitCode == 0 { return }
        throw RuntimeLog.failure(log, of: "\(program) \(arguments[0])")
            ?? MonitorError(.runtime, "\(program) \(arguments[0]): exit status \(status.exitCode)")
    }

    /// Another program sees our descriptors under our process id only.
    private func nameOurDescriptors() throws(MonitorError) {
        guard !request.descriptors.isEmpty else { return }
        let path = request.bundle + "/config.json"
        let bytes = try system { () throws(SystemError) in try File.read(path) }
        guard var config = try? JSON(parsing: bytes).object, var linux = config["linux"]?.object,
            let namespaces = linux["namespaces"]?.array
        else { return }
        let own = "/proc/self/fd/"
        linux["namespaces"] = .array(
            namespaces.map { namespace in
                guard var object = namespace.object, let path = object["path"]?.string, path.hasPrefix(own)
                else {
                    return namespace
                }
                // The worker's parent is the monitor, which holds them open.
                object["path"] = .string("/proc/\(getppid())/fd/" + path.dropFirst(own.count))
                return .object(object)
            })
        config["linux"] = .object(linux)
        let edited = JSON.object(config).bytes()
        try system { () throws(SystemError) in
            try File.replace(path, with: edited, mode: 0o600, durable: false)
        }
    }
}
