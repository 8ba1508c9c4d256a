import LinuxSystem

extension Rootfs {
    /// How mounts of the container and of the host follow each other
    /// (`linux.rootfsPropagation`).
    enum Propagation: String {
        case `private`, rprivate, slave, rslave, shared, rshared, unbindable, runbindable

        var flags: UInt {
            switch self {
            case .private: UInt(MS_PRIVATE)
            case .rprivate: UInt(MS_PRIVATE | MS_REC)
            case .slave: UInt(MS_SLAVE)
            case .rslave: UInt(MS_SLAVE | MS_REC)
            case .shared: UInt(MS_SHARED)
            case .rshared: UInt(MS_SHARED | MS_REC)
            case .unbindable: UInt(MS_UNBINDABLE)
            case .runbindable: UInt(MS_UNBINDABLE | MS_REC)
            }
        }

        var isShared: Bool { self == .shared || self == .rshared }
        /// What the first change of all mounts does already.
        var isDoneFromTheStart: Bool {
            switch self {
            case .private, .rprivate, .slave, .rslave: true
            default: false
            }
        }
    }

    /// In a new mount namespace: cuts its mounts off from the host's and mounts
    /// the bundle's root onto itself, because pivot_root(2) wants a mount.
    /// - Parameters:
    ///   - tree: a detached copy of it, when the caller made one already.
    ///   - inHost: the mount namespace is the runtime's: what it has stays as it is.
    static func mount(
        path: String, tree: Int32?, propagation: Propagation?, inHost: Bool
    ) throws(RuntimeError) -> Rootfs {
        let shared = propagation?.isShared ?? false && !inHost
        if !inHost { try prepareMounts(path, propagation) }
        return try during("mount the root file system \(path)") { () throws(SystemError) in
            let root = try copy(path, tree)
            if shared { try Mount.change(root.raw, Mount.Attributes(), propagation: UInt64(MS_PRIVATE)) }
            let place = try File.open(path, O_PATH | O_DIRECTORY)
            try Mount.attach(root.raw, onto: place.raw)
            return Rootfs(root: root)
        }
    }

    /// What `mount` does before it mounts, in a mount namespace of the container's own.
    static func prepareMounts(_ path: String, _ propagation: Propagation?) throws(RuntimeError) {
        try cutOff(propagation)
        guard propagation?.isShared ?? false else { return }
        try during("make the mount of \(path) private") { () throws(SystemError) in
            try makeParentPrivate(path)
        }
    }

    /// The root's mount, for older kernels: it covers a stage.
    static func mountOnStage(_ path: String, _ propagation: Propagation?) throws(SystemError) -> Descriptor {
        let place = try File.open(path, O_PATH | O_DIRECTORY)
        let stage = try MountStage(on: path, place.raw)
        let cover = stage.raw
        Mount.use(stage)
        let root = try Mount.clone("", at: place.raw, recursive: true)
        if propagation?.isShared ?? false {
            try Mount.change(root.raw, Mount.Attributes(), propagation: UInt64(MS_PRIVATE))
        }
        try Mount.attach(root.raw, onto: cover)
        return root
    }

    /// A detached copy of a mount, made in the host's mount namespace: the change of all mounts in
    /// the container's own does not find it, and as a peer of the host's it could not be pivoted to,
    /// and what is mounted in it would appear on the host.
    static func hostTree(
        _ path: String, recursive: Bool, propagation: Propagation?
    ) throws(SystemError) -> Descriptor {
        let tree = try Mount.clone(path, recursive: recursive)
        switch propagation {
        case .shared, .rshared: break
        case .private, .rprivate:
            try Mount.change(tree.raw, Mount.Attributes(), propagation: UInt64(MS_PRIVATE), recursive: true)
        default:
            try Mount.change(tree.raw, Mount.Attributes(), propagation: UInt64(MS_SLAVE), recursive: true)
        }
        return tree
    }

    private static func cutOff(_ propagation: Propagation?) throws(RuntimeError) {
        try during("set the propagation of the root mount") { () throws(SystemError) in
            switch propagation {
            case .private, .rprivate: try Mount.setPropagation("/", UInt(MS_PRIVATE | MS_REC))
            // Stays as it is: mounts below may have to reach the host.
            case .shared, .rshared: break
            default: try Mount.setPropagation("/", UInt(MS_SLAVE | MS_REC))
            }
        }
    }

    private static func copy(_ path: String, _ tree: Int32?) throws(SystemError) -> Descriptor {
        if let tree { return Descriptor(owning: tree) }
        return try Mount.clone(path, recursive: true)
    }

    /// pivot_root(2) refuses a new root whose parent mount is shared, and what
    /// is mounted there would appear on the host.
    private static func makeParentPrivate(_ path: String) throws(SystemError) {
        var path = path
        while true {
            do throws(SystemError) {
                return try Mount.setPropagation(path, UInt(MS_PRIVATE))
            } catch  where error.errno == .invalid && path != "/" {
                // No mount point: its parent may be one.
                path = split(path).directory
            }
        }
    }

    /// Makes this root the root of the process, and forgets the host's.
    func enter(propagation: Propagation?, withoutPivot: Bool) throws(RuntimeError) {
        try during("enter the root file system") { () throws(SystemError) in
            _ = try retrying("chdir") { fchdir(root.raw) }
            if withoutPivot {
                // A root on an initramfs cannot be pivoted away: put ours on top of it.
                try Self.coverKernelViews()
                try Mount.moveWorkingDirectoryOntoRoot()
                _ = try retrying("chroot") { chroot(".") }
            } else {
                let old = try File.open("/", O_PATH | O_DIRECTORY)
                try Mount.pivotToWorkingDirectory()
                // The old root is mounted over the new one now (pivot_root(2), NOTES).
                _ = try retrying("chdir") { fchdir(old.raw) }
                // Were it shared, unmounting it here would unmount it on the host.
                if propagation?.isShared ?? false { try Mount.setPropagation(".", UInt(MS_SLAVE | MS_REC)) }
                try Mount.detach(".", followLinks: true)
            }
            _ = try retrying("chdir") { chdir("/") }
            if let propagation, !propagation.isDoneFromTheStart {
                try Mount.setPropagation("/", propagation.flags)
            }
        }
    }

    /// The host's root stays in the mount namespace, and with it every full view of /proc and
    /// /sys; the kernel would let a container's user namespace mount such a view again, without
    /// the masks, as long as one is there (mount_too_revealing).
    private static func coverKernelViews() throws(SystemError) {
        let text = try File.readText("/proc/self/mountinfo")
        // The root that is to be entered, whose own views stay.
        let root = try File.readLink("/proc/self/cwd") + "/"
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count > 6, let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count,
                fields[3] == "/", fields[dash + 1] == "proc" || fields[dash + 1] == "sysfs"
            else { continue }
            let place = CgroupLayout.unescape(fields[4])
            if place.hasPrefix(root) { continue }
            do throws(SystemError) {
                try Mount.setPropagation(place, UInt(MS_SLAVE | MS_REC))
                try Mount.detach(place)
            } catch  where error.errno == .noEntry || error.errno == .invalid {}
        }
    }

    /// Only chroot(2), for a container in a mount namespace that is not its own.
    func change() throws(RuntimeError) {
        try during("enter the root file system") { () throws(SystemError) in
            _ = try retrying("chdir") { fchdir(root.raw) }
            _ = try retrying("chroot") { chroot(".") }
            _ = try retrying("chdir") { chdir("/") }
        }
    }
}
