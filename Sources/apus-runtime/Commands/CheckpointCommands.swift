import CommandGrammar
import ContainerRuntime
import LinuxSystem

enum CheckpointCommand {
    static let command = Command(
        "checkpoint", usage: "[command options] <container-id>", summary: "checkpoint a running container",
        arguments: .exactly(1), flags: { flags }, run: run)

    private static var flags: [Flag] {
        CRIUFlags.shared("for saving criu image files") + [
            Flag("parent-path", .string("value"), "path for previous criu image files in pre-dump"),
            Flag("leave-running", .bool, "leave the process running after checkpointing"),
            Flag("tcp-skip-in-flight", .bool, "skip in-flight tcp connections"),
            Flag("status-fd", .int, default: "-1", "criu writes \\0 to this FD once lazy-pages is ready"),
            Flag("page-server", .string("value"), "ADDRESS:PORT of the page server"),
            Flag(
                "pre-dump", .bool,
                "dump container's memory information only, leave the container running after this"),
        ]
    }

    static func run(_ values: Values) throws -> Int32 {
        let log = try RuntimeLog(values)
        do throws(RuntimeError) {
            try values.runtime.checkpoint(values.arguments[0], options: try options(values)) {
                log.warn("\($0)")
            }
            return 0
        } catch {
            throw error.named("\(RuntimeProgram.name) checkpoint failed")
        }
    }

    private static func options(_ values: Values) throws(RuntimeError) -> CheckpointOptions {
        var options = CheckpointOptions(try CRIUFlags.options(values))
        options.parentPath = values.text("parent-path")
        options.leaveRunning = values.bool("leave-running")
        options.tcpSkipInFlight = values.bool("tcp-skip-in-flight")
        options.preDump = values.bool("pre-dump")
        options.pageServer = try values.text("page-server").map(pageServer)
        if options.criu.lazyPages, let number = values.int("status-fd"), number != -1 {
            options.statusDescriptor = try statusDescriptor(number)
        }
        return options
    }

    /// `ADDRESS:PORT`; an IPv6 address is in brackets.
    private static func pageServer(_ text: String) throws(RuntimeError) -> CheckpointOptions.PageServer {
        let usage = RuntimeError(
            .invalidConfig, "use --page-server ADDRESS:PORT to specify page server, not \"\(text)\"")
        guard let colon = text.lastIndex(of: ":") else { throw usage }
        var address = text[..<colon]
        if address.hasPrefix("["), address.hasSuffix("]") {
            address = address.dropFirst().dropLast()
        } else if address.contains(":") {
            throw usage
        }
        guard !address.isEmpty else { throw usage }
        guard let port = UInt16(text[text.index(after: colon)...]), port != 0 else {
            throw RuntimeError(.invalidConfig, "invalid port number in --page-server \(text)")
        }
        return CheckpointOptions.PageServer(address: String(address), port: port)
    }

    private static func statusDescriptor(_ number: Int) throws(RuntimeError) -> Int32 {
        let descriptor = Int32(clamping: number)
        let flags = linux_fcntl(descriptor, F_GETFL, 0)
        guard flags >= 0 else {
            throw RuntimeError(
                .invalidConfig, "invalid --status-fd argument \(number)",
                cause: SystemError("fcntl", "", Errno(-flags)))
        }
        guard flags & O_ACCMODE != O_RDONLY else {
            throw RuntimeError(.invalidConfig, "invalid --status-fd argument \(number): not writable")
        }
        return descriptor
    }
}

/// What `checkpoint` and `restore` take alike.
enum CRIUFlags {
    static func shared(_ images: String) -> [Flag] {
        [
            Flag("image-path", .string("value"), "path \(images)", completing: .directories),
            Flag(
                "work-path", .string("value"), "path for saving work files and logs", completing: .directories
            ),
            Flag("tcp-established", .bool, "allow open tcp connections"),
            Flag("link-remap", .bool, "allow one to link unlinked files back when possible"),
            Flag("ext-unix-sk", .bool, "allow external unix sockets"),
            Flag("shell-job", .bool, "allow shell jobs"),
            Flag("lazy-pages", .bool, "use userfaultfd to lazily restore memory pages"),
            Flag("file-locks", .bool, "handle file locks, for safety"),
            Flag(
                "manage-cgroups-mode", .string("value"),
                "cgroups mode: soft|full|strict|ignore (default: soft)"),
            Flag("empty-ns", .list("value"), "create a namespace, but don't restore its properties"),
            Flag("auto-dedup", .bool, "enable auto deduplication of memory images"),
        ]
    }

    static func options(_ values: Values) throws(RuntimeError) -> CRIUOptions {
        var options = CRIUOptions(imagePath: values.text("image-path") ?? "checkpoint")
        options.program = values.text("criu") ?? "criu"
        options.workPath = values.text("work-path")
        options.tcpEstablished = values.bool("tcp-established")
        options.linkRemap = values.bool("link-remap")
        options.externalUnixSockets = values.bool("ext-unix-sk")
        options.shellJob = values.bool("shell-job")
        options.lazyPages = values.bool("lazy-pages")
        options.fileLocks = values.bool("file-locks")
        options.autoDedup = values.bool("auto-dedup")
        switch values.string("manage-cgroups-mode") ?? "" {
        case "": break
        case "soft": options.cgroupMode = .soft
        case "full": options.cgroupMode = .full
        case "strict": options.cgroupMode = .strict
        case "ignore": options.cgroupMode = .ignore
        case let other:
            throw RuntimeError(.invalidConfig, "invalid manage-cgroups-mode value \"\(other)\"")
        }
        // The network's is always restored empty: its devices are not ours.
        for name in values.list("empty-ns") where name != "network" {
            throw RuntimeError(.unsupported, "--empty-ns: namespace \"\(name)\" is not supported")
        }
        return options
    }
}

extension Values {
    /// nil when it was not given, or is empty.
    func text(_ name: String) -> String? { string(name).flatMap { $0.isEmpty ? nil : $0 } }
}
