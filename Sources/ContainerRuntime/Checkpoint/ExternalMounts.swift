import LinuxSystem
import OCISpec

/// What of a container's mounts comes from outside: CRIU dumps only its name, and mounts anew
/// what is given for the name. A name is the mount point, with links in it resolved.
struct ExternalMounts {
    private typealias Pair = CRIURequestOptions.Pair

    private(set) var pairs: [CRIURequestOptions.Pair] = []
    private let config: RuntimeConfig
    private let requests: [MountRequest]
    private let cgroups: CgroupMounts

    private static let null = "/dev/null"

    init(
        _ config: RuntimeConfig, bundle: String, rootfs: String, cgroups: CgroupMounts
    ) throws(RuntimeError) {
        self.config = config
        self.cgroups = cgroups
        let rootfs = Rootfs.clean(rootfs)
        var requests: [MountRequest] = []
        for mount in config.mounts {
            let request = try MountRequest(mount, bundle: bundle, rootfs: rootfs)
            if !request.options.isRemount { requests.append(request) }
        }
        self.requests = requests
    }

    // MARK: - Dumping

    /// - Parameter root: the root of the container's process.
    mutating func findForDump(in root: borrowing Descriptor) throws(RuntimeError) {
        for request in requests {
            if request.options.isBind {
                addSame(try Self.resolve(request.destination, root.raw))
            } else if request.isCgroup, cgroups.areBound {
                let place = try Self.resolve(request.destination, root.raw)
                for (name, _) in cgroups.hierarchies { addSame("\(place)/\(name)") }
            }
        }
        for path in config.linux?.maskedPaths ?? [] {
            guard let place = try Self.open(path, root.raw) else { continue }
            let (kind, name) = try during("inspect masked path \(path)") { () throws(SystemError) in
                (try FD.stat(place.raw).st_mode & S_IFMT, try Self.name(of: place.raw))
            }
            // A directory lies under a file system of the container's own.
            if kind != S_IFDIR { pairs.append(Pair(key: name, value: Self.null)) }
        }
        for device in devices { addSame(try Self.resolve(device, root.raw)) }
    }

    /// Without rights to make devices, the host's are bound.
    private var devices: [String] {
        Rootfs.defaultDevices.map(\.path) + (config.linux?.devices.map { Rootfs.clean($0.path) } ?? [])
    }

    private mutating func addSame(_ name: String) { pairs.append(Pair(key: name, value: name)) }

    private static func open(_ path: String, _ root: Int32) throws(RuntimeError) -> Descriptor? {
        do throws(SystemError) {
            return try File.open(inRoot: path, at: root, O_PATH)
        } catch  where error.errno == .noEntry || error.errno == .notDirectory {
            return nil
        } catch {
            throw RuntimeError(.system, "find \(path) in the container", cause: error)
        }
    }

    private static func resolve(_ path: String, _ root: Int32) throws(RuntimeError) -> String {
        guard let place = try open(path, root) else { return path }
        return try during("find \(path) in the container") { () throws(SystemError) in
            try name(of: place.raw)
        }
    }

    /// A file's path from the root of the mount namespace that it lies in.
    private static func name(of fd: Int32) throws(SystemError) -> String {
        try File.readLink("/proc/self/fd/\(fd)")
    }

    // MARK: - Restoring

    /// Makes the mount points that the root file system lacks, as they are made for a new
    /// container. What is mounted on the way is for looking up the later ones.
    /// - Parameters:
    ///   - rootfs: a copy of the root file system that is thrown away afterwards.
    ///   - place: where it is mounted.
    mutating func prepareForRestore(in rootfs: Rootfs, at place: String) throws(RuntimeError) {
        for request in requests {
            do throws(RuntimeError) {
                try prepare(request, in: rootfs, at: place)
            } catch {
                throw error.under("mount point \(request.destination)")
            }
        }
        if config.linux?.maskedPaths.isEmpty == false { addSame(Self.null) }
        for device in devices { addSame(device) }
    }

    private mutating func prepare(
        _ request: MountRequest, in rootfs: Rootfs, at root: String
    ) throws(RuntimeError) {
        let destination = request.destination
        if request.isCgroup {
            // Its mount point and what is in it are in the images or the kernel's.
            guard cgroups.areBound else { return }
            for (name, path) in cgroups.hierarchies {
                pairs.append(Pair(key: "\(destination)/\(name)", value: path))
            }
            return
        }
        // CRIU restores what is in a file system of the container's own; others have it already.
        let isInside = requests.contains {
            !$0.options.isBind && destination.hasPrefix($0.destination + "/")
        }
        guard request.options.isBind else {
            if !isInside {
                _ = try during("make") { () throws(SystemError) in try rootfs.makeDirectories(destination) }
            }
            return
        }
        guard !isInside else {
            pairs.append(Pair(key: destination, value: request.source))
            return
        }
        let name = try during("bind \(request.source)") { () throws(SystemError) in
            let tree = try Mount.clone(request.source, recursive: true)
            let isDirectory = try FD.stat(tree.raw).st_mode & S_IFMT == S_IFDIR
            let place =
                try isDirectory ? rootfs.makeDirectories(destination) : rootfs.makeFile(destination)
            let name = try Self.name(of: place.raw)
            try Mount.attach(tree.raw, onto: place.raw)
            return name
        }
        guard name.hasPrefix(root + "/") else {
            throw RuntimeError(.system, "\(name) is not below \(root)")
        }
        pairs.append(Pair(key: String(name.dropFirst(root.count)), value: request.source))
    }
}

extension CgroupMounts {
    /// Whether the container sees its groups as mounts of the host's directories, which is what a
    /// dump has to name; in a cgroup namespace they look, and are restored, like mounts of its own.
    var areBound: Bool { !isUnified && !hasNamespace }
}
