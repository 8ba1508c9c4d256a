import JSONText
import LinuxSystem
import OCISpec

/// A bundle: a directory with a config.json.
struct Bundle {
    /// Absolute.
    var path: String
    var config: RuntimeConfig
    /// The text of the config as it was read.
    var text: [UInt8]
    /// Absolute.
    var rootfs: String

    private static let sizeLimit = 16 << 20

    init(_ path: String) throws(RuntimeError) {
        var absolute = path
        if path.isEmpty || path == "." {
            absolute = try Self.workingDirectory()
        } else if path.utf8.first != UInt8(ascii: "/") {
            absolute = Rootfs.clean("\(try Self.workingDirectory())/\(path)")
        }
        self.path = absolute
        do throws(SystemError) {
            text = try File.read("\(absolute)/config.json", limit: Self.sizeLimit)
        } catch  where error.errno == .noEntry {
            throw RuntimeError(
                .invalidConfig, "JSON specification file \(absolute)/config.json not found")
        } catch {
            throw RuntimeError(.invalidConfig, "read the bundle's config.json", cause: error)
        }
        config = try Self.parse(text)
        guard let root = config.root else {
            throw RuntimeError(.invalidConfig, "root must be specified")
        }
        rootfs = root.path.utf8.first == UInt8(ascii: "/") ? root.path : "\(absolute)/\(root.path)"
        try check()
    }

    static func parse(_ text: [UInt8]) throws(RuntimeError) -> RuntimeConfig {
        do throws(JSONError) {
            return try RuntimeConfig(json: try JSON(parsing: text, refusingNUL: true))
        } catch {
            throw RuntimeError(.invalidConfig, "config.json: \(error)")
        }
    }

    private static func workingDirectory() throws(RuntimeError) -> String {
        guard let path = getcwd(nil, 0) else {
            throw RuntimeError(
                .system, "find the working directory", cause: SystemError("getcwd", "", .current))
        }
        defer { free(path) }
        return String(cString: path)
    }

    /// What the configuration must hold whatever the container is.
    private func check() throws(RuntimeError) {
        let version = config.ociVersion
        guard version.utf8.starts(with: "1.".utf8) else {
            throw RuntimeError(.invalidConfig, "ociVersion \"\(version)\" is not supported: only 1.x is")
        }
        do throws(SystemError) {
            let status = try File.status(rootfs)
            guard status.st_mode & S_IFMT == S_IFDIR else {
                throw SystemError("open", rootfs, .notDirectory)
            }
        } catch {
            throw RuntimeError(.invalidConfig, "invalid rootfs", cause: error)
        }
        let namespaces = config.linux?.namespaces ?? []
        for (position, namespace) in namespaces.enumerated()
        where namespaces[..<position].contains(where: { $0.type == namespace.type }) {
            throw RuntimeError(
                .invalidConfig, "malformed spec file: duplicated ns \(namespace.type.rawValue)")
        }
        func has(_ kind: LinuxNamespace.Kind) -> Bool { namespaces.contains { $0.type == kind } }
        if config.hostname?.isEmpty == false, !has(.uts) {
            throw RuntimeError(.invalidConfig, "unable to set hostname without a private UTS namespace")
        }
        if config.domainname?.isEmpty == false, !has(.uts) {
            throw RuntimeError(.invalidConfig, "unable to set domainname without a private UTS namespace")
        }
        let linux = config.linux
        if !has(.mount), !(linux?.maskedPaths.isEmpty ?? true) || !(linux?.readonlyPaths.isEmpty ?? true) {
            throw RuntimeError(
                .invalidConfig, "unable to restrict sys entries without a private MNT namespace")
        }
        for path in (linux?.maskedPaths ?? []) + (linux?.readonlyPaths ?? [])
        where path.utf8.first != UInt8(ascii: "/") {
            throw RuntimeError(.invalidConfig, "masked or read-only path \"\(path)\" is not absolute")
        }
        let user = namespaces.first { $0.type == .user }
        let isMapped = !(linux?.uidMappings.isEmpty ?? true) || !(linux?.gidMappings.isEmpty ?? true)
        if user == nil, isMapped {
            throw RuntimeError(
                .invalidConfig,
                "user namespace mappings specified, but user namespace isn't enabled in the config")
        }
        if let user, user.path == nil,
            linux?.uidMappings.isEmpty ?? true || linux?.gidMappings.isEmpty ?? true
        {
            throw RuntimeError(.invalidConfig, "a new user namespace needs uidMappings and gidMappings")
        }
        if linux?.timeOffsets.isEmpty == false, !has(.time) {
            throw RuntimeError(
                .invalidConfig,
                "time namespace offsets specified, but time namespace isn't enabled in the config")
        }
        if linux?.timeOffsets.isEmpty == false,
            namespaces.contains(where: { $0.type == .time && $0.path != nil })
        {
            throw RuntimeError(
                .invalidConfig,
                "time namespace enabled, but both namespace path and time offsets specified: only one can be had"
            )
        }
        if let label = linux?.mountLabel, !label.isEmpty, !SecurityModule.hasSELinux {
            throw RuntimeError(
                .unsupported, "linux.mountLabel is \"\(label)\", but SELinux is not enabled on this machine")
        }
        try checkHooks()
        try checkDevices(has(.network))
        try checkSysctls(has)
    }

    /// config.md, "POSIX-platform Hooks".
    private func checkHooks() throws(RuntimeError) {
        guard let hooks = config.hooks else { return }
        let all =
            hooks.prestart + hooks.createRuntime + hooks.createContainer + hooks.startContainer
            + hooks.poststart + hooks.poststop
        for hook in all {
            if let timeout = hook.timeout, timeout <= 0 {
                throw RuntimeError(
                    .invalidConfig, "hook \(hook.path): timeout \(timeout) is not greater than zero")
            }
        }
    }

    private func checkDevices(_ hasNetwork: Bool) throws(RuntimeError) {
        guard let devices = config.linux?.netDevices, !devices.isEmpty else { return }
        guard hasNetwork else {
            throw RuntimeError(
                .invalidConfig, "unable to move network devices without a private NET namespace")
        }
        for (name, device) in devices {
            for name in [name, device.name ?? name]
            where name.isEmpty || name.utf8.count > NetworkInterface.maximumNameLength || name == "."
                || name == ".." || name.utf8.contains(where: { $0 <= 0x20 || $0 == 0x2f || $0 == 0x3a })
            {
                throw RuntimeError(.invalidConfig, "invalid network device name \"\(name)\"")
            }
        }
    }

    /// Whether its network is another one than the runtime's: a path may lead to that.
    private var hasOtherNetwork: Bool {
        guard let network = config.linux?.namespaces.first(where: { $0.type == .network }) else {
            return false
        }
        guard let path = network.path, let own = try? File.status("/proc/self/ns/net"),
            let joined = try? File.status(path)
        else { return true }
        return own.st_dev != joined.st_dev || own.st_ino != joined.st_ino
    }

    /// Only those that belong to a namespace of the container.
    private func checkSysctls(_ has: (LinuxNamespace.Kind) -> Bool) throws(RuntimeError) {
        guard let sysctls = config.linux?.sysctl, !sysctls.isEmpty else { return }
        let ipc: Set<String> = [
            "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall",
            "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced", "kernel.auto_msgmni",
        ]
        for name in sysctls.keys.sorted() {
            let path = try Sysctl.path(name)
            let dotted = path.split(separator: "/").joined(separator: ".")
            if ipc.contains(dotted) || dotted.utf8.starts(with: "fs.mqueue.".utf8) {
                if has(.ipc) { continue }
                throw RuntimeError(
                    .invalidConfig, "sysctl \"\(name)\" is not allowed in the hosts ipc namespace")
            }
            if dotted.utf8.starts(with: "net.".utf8) {
                if hasOtherNetwork { continue }
                throw RuntimeError(.invalidConfig, "sysctl \"\(name)\" not allowed in host network namespace")
            }
            if dotted == "kernel.domainname" || dotted == "kernel.hostname" {
                guard has(.uts) else {
                    throw RuntimeError(
                        .invalidConfig, "sysctl \"\(name)\" is not allowed in the hosts UTS namespace")
                }
                if dotted == "kernel.domainname" { continue }
                throw RuntimeError(
                    .invalidConfig,
                    "sysctl \"\(name)\" is not allowed as it conflicts with the OCI \"hostname\" field")
            }
            if has(.user), dotted.utf8.starts(with: "user.".utf8) { continue }
            throw RuntimeError(.invalidConfig, "sysctl \"\(name)\" is not in a separate kernel namespace")
        }
    }
}
