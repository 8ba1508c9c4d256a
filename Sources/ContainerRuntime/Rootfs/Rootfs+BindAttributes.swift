import LinuxSystem

extension MountOptions {
    /// What a bind mount gets: that which is named, and nothing else of what its source has. Only
    /// access times stay as they are, unless one is asked for (mount(2), `MS_REMOUNT | MS_BIND`).
    var replacing: Mount.Attributes {
        let plain =
            UInt64(MOUNT_ATTR_RDONLY) | UInt64(MOUNT_ATTR_NOSUID) | UInt64(MOUNT_ATTR_NODEV)
            | UInt64(MOUNT_ATTR_NOEXEC) | UInt64(MOUNT_ATTR_NOSYMFOLLOW)
        let cleared = plain | (namesAccessTimes ? Mount.Attributes.accessTimes : 0)
        return Mount.Attributes(
            adding: attributes.added, clearing: cleared & ~(attributes.added & ~UInt64(MOUNT_ATTR__ATIME)))
    }

    private var namesAccessTimes: Bool {
        attributes.cleared & UInt64(MOUNT_ATTR__ATIME) != 0
            || attributes.added & UInt64(MOUNT_ATTR_NODIRATIME) != 0
    }

    /// The same for a mount whose attributes are locked, with as much of them as is there.
    /// - Returns: nil when the config asks for less than that.
    func replacing(keeping present: UInt64) -> Mount.Attributes? {
        let lockable =
            UInt64(MOUNT_ATTR_RDONLY) | UInt64(MOUNT_ATTR_NOSUID) | UInt64(MOUNT_ATTR_NODEV)
            | UInt64(MOUNT_ATTR_NOEXEC)
        guard attributes.cleared & present & lockable == 0 else { return nil }
        let times = Mount.Attributes.accessTimes
        guard !namesAccessTimes || attributes.added & times == present & times else { return nil }
        return Mount.Attributes(
            adding: attributes.added & ~times, clearing: replacing.cleared & ~(present & lockable) & ~times)
    }
}

extension Rootfs {
    static func setAttributes(of tree: Int32, _ options: MountOptions) throws(SystemError) {
        guard options.namesAttributes else { return }
        do throws(SystemError) {
            try Mount.change(tree, options.replacing)
        } catch  where error.errno == .notPermitted {
            // The host's mounts are locked in a user namespace's mount namespace
            // (mount_namespaces(7)).
            guard let kept = options.replacing(keeping: try Mount.attributes(of: tree)) else { throw error }
            try Mount.change(tree, kept)
        }
    }
}
