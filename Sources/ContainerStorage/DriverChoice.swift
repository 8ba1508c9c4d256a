import LinuxSystem

/// The driver for a store in this place, and why.
struct DriverChoice {
    var driver: SnapshotterName
    var reason: String

    /// Asks the kernel by mounting: no list of file systems' names is as true.
    static func probe(_ root: String) -> DriverChoice {
        let probe = "\(root)/ingest/probe-\(getpid())"
        defer { try? File.removeTree(probe) }
        do throws(SystemError) {
            for name in ["", "/lower", "/upper", "/work", "/merged"] {
                try File.makeDirectory(probe + name, mode: 0o700)
            }
            try OverlayMount(lower: [probe + "/lower"], upper: probe + "/upper", work: probe + "/work")
                .attach(to: probe + "/merged")
            defer { try? OverlayMount.unmount(probe + "/merged") }
            // An upper that cannot hold whiteouts mounts, and then cannot be written to.
            try File.makeDirectory(probe + "/merged/made", mode: 0o700)
            return DriverChoice(driver: .overlay, reason: "overlay works here")
        } catch {
            return DriverChoice(driver: .vfs, reason: "overlay does not work here (\(error))")
        }
    }
}
