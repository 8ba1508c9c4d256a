internal import JSONText

/// A container's unit under systemd: a transient scope in a slice (systemd.scope(5), systemd.slice(5)).
struct SystemdUnit: Equatable, Sendable {
    /// `apus-web.scope`.
    let name: String
    /// `system.slice`.
    let slice: String
    /// Of the caller's own manager, `systemd --user`.
    let isUser: Bool

    private static let suffix = ".slice"

    /// - Parameter cgroupsPath: `slice:prefix:name`, each of which may be empty; nil or empty is
    ///   `:apus:ID`. Without a slice it is `system.slice`, or `user.slice` of the user's manager.
    init(cgroupsPath: String?, id: String, isUser: Bool) throws(CgroupError) {
        var parts = ["", "apus", id]
        if let cgroupsPath, !cgroupsPath.isEmpty {
            parts = cgroupsPath.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 3 else {
                throw CgroupError(
                    .invalid,
                    "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got \"\(cgroupsPath)\" instead"
                )
            }
        }
        guard !parts[2].hasSuffix(Self.suffix) else {
            throw CgroupError(
                .invalid, "cgroupsPath: a container's unit is a scope, not the slice \"\(parts[2])\"")
        }
        slice = parts[0].isEmpty ? (isUser ? "user.slice" : "system.slice") : parts[0]
        name = "\(parts[1])-\(parts[2]).scope"
        self.isUser = isUser
        guard Self.isName(name) else { throw CgroupError(.invalid, "invalid unit name \"\(name)\"") }
        _ = try Self.expand(slice)
    }

    /// systemd.unit(5): 255 characters, none of which can be part of a path.
    private static func isName(_ name: String) -> Bool {
        name.utf8.count <= 255
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: ":-_.\\@".utf8.contains(byte)
                }
            }
    }

    /// The path of a slice, which its name tells: `a-b.slice` is `/a.slice/a-b.slice`, `-.slice` is `/`.
    static func expand(_ slice: String) throws(CgroupError) -> String {
        let stem = slice.dropLast(suffix.count)
        guard slice.hasSuffix(suffix), !stem.isEmpty, isName(slice) else {
            throw CgroupError(.invalid, "invalid slice name: \(slice)")
        }
        if stem == "-" { return "/" }
        var path = ""
        var prefix = ""
        for component in stem.split(separator: "-", omittingEmptySubsequences: false) {
            guard !component.isEmpty else { throw CgroupError(.invalid, "invalid slice name: \(slice)") }
            path += "/" + prefix + component + suffix
            prefix += component + "-"
        }
        return path
    }

    /// Where systemd makes the unit's group.
    /// - Parameter root: the manager's own group: `/` of the system's.
    func place(below root: String) throws(CgroupError) -> CgroupPath {
        var path = root
        for component in try Self.expand(slice).split(separator: "/") { path += "/" + Self.escape(component) }
        return try CgroupPath(path + "/" + Self.escape(name[...]))
    }

    /// systemd puts an underscore before what could be a file of the kernel's.
    private static func escape(_ name: Substring) -> String {
        let controllers = ["cgroup", "cpu", "cpuacct", "cpuset", "io", "blkio", "memory", "devices", "pids"]
        let isTaken =
            name.hasPrefix("_") || name.hasPrefix(".") || controllers.contains { name.hasPrefix($0 + ".") }
        return isTaken ? "_" + name : String(name)
    }

    // MARK: - State

    var json: JSON { ["unit": .string(name), "slice": .string(slice), "user": .bool(isUser)] }

    init?(json: JSON) {
        guard let name = json["unit"]?.string, name.hasSuffix(".scope"), Self.isName(name) else { return nil }
        self.name = name
        slice = json["slice"]?.string ?? ""
        isUser = json["user"] == true
    }
}
