import LinuxSystem

extension Rootfs {
    /// Hides paths: a directory under an empty, read-only file system, anything
    /// else under /dev/null. What does not exist needs no hiding.
    func mask(_ paths: [String]) throws(RuntimeError) {
        guard !paths.isEmpty else { return }
        let null = try hostNull()
        var empty: HeldDescriptor?
        for (position, path) in paths.enumerated() where !paths[..<position].contains(path) {
            try during("mask path \"\(path)\"") { () throws(SystemError) in
                guard let place = try openIfThere(path) else { return }
                if try FD.stat(place.raw).st_mode & S_IFMT == S_IFDIR {
                    if let empty {
                        let mount = try Mount.clone("", at: empty.descriptor.raw)
                        try Mount.attach(mount.raw, onto: place.raw)
                    } else {
                        // Attached before it is copied, which kernels before 6.15 ask for.
                        let first = HeldDescriptor(try Self.makeEmpty())
                        try Mount.attach(first.descriptor.raw, onto: place.raw)
                        empty = first
                    }
                } else {
                    let mount = try Mount.clone("", at: null.raw)
                    try Mount.attach(mount.raw, onto: place.raw)
                }
                trace?.did("mask", path)
            }
        }
    }

    /// The host's /dev/null, and certainly that (CVE-2025-31133: a container's
    /// own may be a link to what should stay read-only).
    private func hostNull() throws(RuntimeError) -> Descriptor {
        try during("open /dev/null") { () throws(SystemError) in
            let null = try File.open("/dev/null", O_PATH | O_NOFOLLOW)
            guard Self.isNull(try FD.stat(null.raw)) else {
                throw SystemError("verify", "/dev/null", .invalid)
            }
            return null
        }
    }

    static func isNull(_ status: stat) -> Bool {
        status.st_mode & S_IFMT == S_IFCHR && status.st_rdev == gnu_dev_makedev(1, 3)
    }

    /// An empty file system that nothing can be put into.
    static func makeEmpty() throws(SystemError) -> Descriptor {
        let context = try Mount.Context(type: "tmpfs")
        try context.set("source", "tmpfs")
        try context.set("nr_blocks", "1")
        try context.set("nr_inodes", "1")
        try context.set("mode", "755")
        try context.set(flag: "ro")
        return try context.mount(
            attributes: UInt64(MOUNT_ATTR_RDONLY) | UInt64(MOUNT_ATTR_NOSUID) | UInt64(MOUNT_ATTR_NODEV)
                | UInt64(MOUNT_ATTR_NOEXEC))
    }

    /// Makes paths read-only, with all that is mounted below them.
    func makeReadOnly(_ paths: [String]) throws(RuntimeError) {
        for path in paths {
            try during("set readonly path \"\(path)\"") { () throws(SystemError) in
                guard let place = try openIfThere(path) else { return }
                let mount = try Mount.clone("", at: place.raw, recursive: true)
                try Mount.change(mount.raw, .readOnly, recursive: true)
                try Mount.attach(mount.raw, onto: place.raw)
                trace?.did("read-only", path)
            }
        }
    }

    private func openIfThere(_ path: String) throws(SystemError) -> Descriptor? {
        do throws(SystemError) {
            return try open(path, O_PATH)
        } catch  where error.errno == .noEntry || error.errno == .notDirectory {
            return nil
        }
    }
}
