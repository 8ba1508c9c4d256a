/// Extended attributes with a meaning of their own.
enum AttributeName {
    static let accessACL = Array("system.posix_acl_access".utf8)
    static let defaultACL = Array("system.posix_acl_default".utf8)
    static let overlayOpaque = Array("trusted.overlay.opaque".utf8)
    static let overlayWhiteout = Array("trusted.overlay.whiteout".utf8)
    static let overlayRedirect = Array("trusted.overlay.redirect".utf8)
    static let overlayMetacopy = Array("trusted.overlay.metacopy".utf8)

    private static let overlayPrefixes = [Array("trusted.overlay.".utf8), Array("user.overlay.".utf8)]
    /// The host's labels and signatures, which mean nothing elsewhere.
    private static let hostOnly = [Array("security.selinux".utf8), Array("security.evm".utf8)]

    /// Overlay's own notes. A layer may not bring them: `redirect` and
    /// `metacopy` would make its files show others' contents.
    static func isOverlay(_ name: [UInt8]) -> Bool {
        overlayPrefixes.contains { name.starts(with: $0) }
    }

    /// Whether the attribute belongs to the file and not to the host or the overlay.
    static func isPortable(_ name: [UInt8]) -> Bool { !isOverlay(name) && !hostOnly.contains(name) }
}
