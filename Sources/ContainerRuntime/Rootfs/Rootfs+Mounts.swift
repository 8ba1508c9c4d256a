import LinuxSystem

extension Rootfs {
    private static let procMagic = 0x9fa0

    /// What may lie over single files of /proc (as lxcfs does it); anything else
    /// there could hide from us, or from the container, what the kernel says.
    private static let allowedInProc: Set<String> = [
        "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps",
        "/proc/uptime", "/proc/loadavg", "/proc/slabinfo", "/proc/sys/kernel/ns_last_pid",
        "/proc/net/dev", "/proc/sys/kernel/random/boot_id",
    ]

    /// Mounts one of the config's mounts.
    func mount(_ request: MountRequest, label: String?, cgroups: CgroupMounts) throws(RuntimeError) {
        do throws(RuntimeError) {
            switch request.type {
            case "bind": try mountBind(request)
            case "cgroup", "cgroup2": try mountCgroups(request, cgroups)
            default:
                if request.options.isRemount {
                    try remount(request)
                } else {
                    try mountFileSystem(request, label: label)
                }
            }
        } catch {
            throw error.under(
                "error during container init: error mounting \"\(request.source)\" to rootfs at \"\(request.destination)\""
            )
        }
    }

    // MARK: - File systems

    private func mountFileSystem(_ request: MountRequest, label: String?) throws(RuntimeError) {
        let options = request.options
        let isKernelView = request.type == "proc" || request.type == "sysfs"
        // A tmpfs over a directory takes its mode, as people expect of /tmp.
        var mode: mode_t?
        let place = try during("open mount point") { () throws(SystemError) in
            if request.type == "tmpfs", !options.data.contains(where: { $0.key == "mode" }),
                let existing = try? open(request.destination, O_PATH | O_DIRECTORY)
            {
                mode = try FD.stat(existing.raw).st_mode & 0o7777
            }
            let opened = try makeDirectories(request.destination)
            if !isKernelView { return opened }
            // A link here would put the kernel's view elsewhere than the masks look for it.
            do throws(SystemError) {
                return try File.open(
                    beneath: String(request.destination.dropFirst()), at: root.raw, O_PATH | O_DIRECTORY,
                    followLinks: false)
            } catch  where error.errno == .loop {
                throw SystemError(
                    "\(request.type) must be mounted on ordinary directory:", request.destination, .loop)
            }
        }
        if !isKernelView { try refuseProc(request, place.raw) }
        if options.needsLongData {
            try mountLong(request, place.raw)
            return
        }
        let mount = try during("mount \(request.type)") { () throws(SystemError) in
            let context = try Mount.Context(type: request.type)
            if !request.source.isEmpty { try context.set("source", request.source) }
            for option in options.data { try context.set(option.key, option.value) }
            for option in options.flags where !Self.isIgnored(option, of: request.type) {
                try context.set(flag: option)
            }
            if let mode { try context.set("mode", Self.octal(mode)) }
            if let label, !label.isEmpty, request.type != "proc", request.type != "sysfs" {
                try context.set("context", label)
            }
            // A directory that is filled first becomes read-only afterwards.
            var attributes = options.attributes.added
            if options.isCopyUp || request.destination == "/dev" { attributes &= ~UInt64(MOUNT_ATTR_RDONLY) }
            return try context.mount(attributes: attributes)
        }
        if options.isCopyUp, request.type == "tmpfs" {
            try during("copy \(request.destination) into tmpfs") { () throws(SystemError) in
                try TreeCopy.copy(from: place.raw, to: mount.raw)
            }
            if options.isReadOnly {
                try during("make tmpfs read-only") { () throws(SystemError) in
                    try Mount.change(mount.raw, .readOnly)
                }
            }
        }
        try during("attach mount") { () throws(SystemError) in
            try Mount.attach(mount.raw, onto: place.raw)
            try applyPropagation(options, mount.raw)
        }
        if isKernelView || request.type == "devpts" || request.destination == "/dev" {
            remember(mount, at: request.destination)
        }
    }

    /// Options that mount(2) takes and these file systems' parsers do not know.
    private static func isIgnored(_ option: String, of type: String) -> Bool {
        type == "devpts" && option == "newinstance" || option == "iversion"
    }

    private static func octal(_ mode: mode_t) -> String { String(mode, radix: 8) }

    /// Values that are too long for fsconfig(2) go through mount(2), onto the
    /// place's descriptor all the same.
    private func mountLong(_ request: MountRequest, _ place: Int32) throws(RuntimeError) {
        let options = request.options
        let data = (options.data.map { "\($0.key)=\($0.value)" } + options.flags).joined(separator: ",")
        try during("mount \(request.type)") { () throws(SystemError) in
            _ = try retrying("mount", request.type) {
                CLinux.mount(request.source, "/proc/self/fd/\(place)", request.type, 0, data)
            }
            let mount = try open(request.destination, O_PATH | O_DIRECTORY)
            if !options.attributes.isEmpty { try Mount.change(mount.raw, options.attributes) }
            try applyPropagation(options, mount.raw)
        }
    }

    private func remount(_ request: MountRequest) throws(RuntimeError) {
        let options = request.options
        try during("remount") { () throws(SystemError) in
            let mount = try open(request.destination, O_PATH)
            if !options.attributes.isEmpty { try Mount.change(mount.raw, options.attributes) }
            let hasOptions = !options.data.isEmpty || !options.flags.isEmpty
            // Picked for its error alone, too, when this is no mount.
            if hasOptions || options.attributes.isEmpty {
                let context = try Mount.Context(picking: mount.raw)
                for option in options.data { try context.set(option.key, option.value) }
                for option in options.flags { try context.set(flag: option) }
                if hasOptions { try context.reconfigure() }
            }
            try applyPropagation(options, mount.raw)
        }
    }

    // MARK: - Bind mounts

    private func mountBind(_ request: MountRequest) throws(RuntimeError) {
        let options = request.options
        if options.isRemount {
            try remount(request)
            return
        }
        let tree = try during("open \(request.source)") { () throws(SystemError) in
            if let made = request.takeTree() { return made }
            return try Mount.clone(request.source, recursive: options.isRecursive)
        }
        let place = try during("create mount point") { () throws(SystemError) in
            let isDirectory = try FD.stat(tree.raw).st_mode & S_IFMT == S_IFDIR
            return isDirectory ? try makeDirectories(request.destination) : try makeFile(request.destination)
        }
        try refuseProc(request, place.raw, source: tree.raw)
        try during("set attributes") { () throws(SystemError) in
            if let userNamespace = request.takeUserNamespace() {
                try Mount.mapIDs(
                    tree.raw, userNamespace: userNamespace.raw,
                    recursive: options.mapsIDsRecursively)
            }
            try Self.setAttributes(of: tree.raw, options)
            if !options.recursiveAttributes.isEmpty {
                try Mount.change(tree.raw, options.recursiveAttributes, recursive: true)
            }
        }
        try during("attach mount") { () throws(SystemError) in
            try Mount.attach(tree.raw, onto: place.raw)
            try applyPropagation(options, tree.raw)
        }
        if request.destination == "/proc" || request.destination == "/sys" || request.destination == "/dev" {
            remember(tree, at: request.destination)
        }
    }

    func applyPropagation(_ options: MountOptions, _ mount: Int32) throws(SystemError) {
        for propagation in options.propagation {
            try Mount.change(
                mount, Mount.Attributes(), propagation: propagation.kind, recursive: propagation.recursive)
        }
    }

    /// Nothing but a procfs may lie on /proc, and nothing but single known files inside it.
    private func refuseProc(_ request: MountRequest, _ place: Int32, source: Int32? = nil)
        throws(RuntimeError)
    {
        let isOnProcfs = try during("inspect mount point") { () throws(SystemError) in
            try Mount.fileSystemType(of: place) == Self.procMagic
        }
        if request.destination == "/proc" {
            if let source {
                let type = try during("inspect source") { () throws(SystemError) in
                    try Mount.fileSystemType(of: source)
                }
                if type == Self.procMagic { return }
            }
            throw RuntimeError(
                .invalidConfig, "\"/proc\" cannot be mounted because it is not of type proc")
        }
        guard isOnProcfs || request.destination.utf8.starts(with: "/proc/".utf8) else { return }
        guard Self.allowedInProc.contains(request.destination) else {
            throw RuntimeError(
                .invalidConfig, "\"\(request.destination)\" cannot be mounted because it is inside /proc")
        }
    }
}

extension MountRequest {
    func takeTree() -> Descriptor? {
        let tree = tree.take()
        return tree
    }

    func takeUserNamespace() -> Descriptor? { userNamespace.take() }
}
