import LinuxSystem

/// What a runtime may not do that does not run as the host's root.
///
/// Two cases differ. Another user than root (`isUser`) has no rights at all before it is in a
/// user namespace of its own. Root of a user namespace (`unshare --map-root-user`, and what
/// engines without root run in) has all rights over what belongs to that, but the control groups
/// are the host's.
public struct Rootless: Equatable, Sendable {
    /// The effective user is not root.
    public var isUser: Bool
    private let cgroupsMayRefuse: Bool?

    /// Control groups may refuse: a container without limits and without a path of its own does
    /// without them.
    public var doesWithoutCgroups: Bool { cgroupsMayRefuse ?? (isUser || Self.isInUserNamespace) }

    /// - Parameters:
    ///   - isUser: nil asks the kernel.
    ///   - doesWithoutCgroups: nil decides by who runs this, when it matters: most commands need
    ///     not ask the kernel.
    public init(isUser: Bool? = nil, doesWithoutCgroups: Bool? = nil) {
        self.isUser = isUser ?? (geteuid() != 0)
        cgroupsMayRefuse = doesWithoutCgroups
    }

    /// Whether this is another user namespace than the host's, which maps all IDs to themselves
    /// (user_namespaces(7)).
    public static var isInUserNamespace: Bool {
        guard let text = try? File.readText("/proc/self/uid_map") else { return false }
        return !isInitial(map: text)
    }

    static func isInitial(map text: String) -> Bool {
        let fields = text.utf8.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") }
        return fields.elementsEqual(["0", "0", "4294967295"]) { $0.elementsEqual($1.utf8) }
    }

    /// `root`, or the user's name or number, as `list` shows who made a container.
    static func name(of uid: UInt32) -> String {
        if uid == 0 { return "root" }
        for line in ((try? File.readText("/etc/passwd")) ?? "").split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 3, omittingEmptySubsequences: false)
            if fields.count > 3, UInt32(fields[2]) == uid { return String(fields[0]) }
        }
        return "#\(uid)"
    }
}
