internal import LinuxSystem
internal import OCISpec

/// Which refusals a group is done without after: a runtime without root's rights may have a part
/// of the hierarchies handed to it, or none.
enum CgroupRefusals: Equatable {
    /// Root's: every refusal is an error.
    case areErrors
    /// The group's path was asked for. Only hierarchies that limit nothing may refuse it.
    case ofNamedHierarchies
    /// Nobody asked for a group: as long as nobody asks for limits, it need not be.
    case tolerated

    func allow(_ error: CgroupError, of mount: CgroupMount, in layout: Cgroup.Layout) -> Bool {
        guard self != .areErrors, let errno = error.errno else { return false }
        if layout == .unified { return self == .tolerated }
        if mount.limitsNothing { return true }
        return self == .tolerated && Self.isRefusal(errno)
    }

    static func isRefusal(_ errno: Errno) -> Bool {
        errno == .notPermitted || errno == .accessDenied || errno.rawValue == EROFS
    }
}

extension CgroupMount {
    /// Processes are only sorted here: systemd's own hierarchy of v1, and v2 beside v1.
    var limitsNothing: Bool { controllers.isEmpty || key.utf8.starts(with: "name=".utf8) }
}
