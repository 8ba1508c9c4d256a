import LinuxSystem

/// Where the programs under test and their peers are.
enum Programs {
    static let peer: String? = environment("APUS_PEER").flatMap { $0.isEmpty ? nil : $0 }

    static let directory: String = {
        if let given = environment("APUS_BIN") { return given }
        let here = #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
        return "/\(here)/.build/release"
    }()

    static var apus: String { "\(directory)/apus" }
    static var runtime: String { "\(directory)/apus-runtime" }
    static var monitor: String { "\(directory)/apus-monitor" }

    /// Whether containers are scopes of systemd's unless a test says otherwise (`APUS_CGROUP_MANAGER`).
    static let usesSystemd = environment("APUS_CGROUP_MANAGER") == "systemd"

    static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// The path of an installed program.
    static func find(_ name: String) -> String? {
        for directory in (searchPath).split(separator: ":") where access("\(directory)/\(name)", X_OK) == 0 {
            return "\(directory)/\(name)"
        }
        return nil
    }

    static var searchPath: String { (environment("PATH") ?? "") + ":/usr/sbin:/usr/bin:/sbin:/bin" }
}
