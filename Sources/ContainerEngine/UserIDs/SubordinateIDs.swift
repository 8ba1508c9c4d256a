import LinuxSystem

/// The host's IDs that were set apart for containers (subuid(5), subgid(5)).
struct SubordinateIDs {
    /// As podman has it.
    static let owner = "containers"

    let users: IDRanges
    let groups: IDRanges

    static func ofContainers() throws(EngineError) -> SubordinateIDs {
        SubordinateIDs(users: try read("/etc/subuid"), groups: try read("/etc/subgid"))
    }

    private static func read(_ path: String) throws(EngineError) -> IDRanges {
        let ranges = parse((try? File.readText(path)) ?? "")
        guard ranges.count > 0 else {
            throw EngineError(
                .failed,
                "--userns auto needs IDs for the user \(owner), and \(path) has none: add a line like \(owner):2147483647:2147483648 to it"
            )
        }
        return ranges
    }

    /// Lines of `USER:FIRST:COUNT`; those of other users, and wrong ones, say nothing.
    static func parse(_ text: String) -> IDRanges {
        IDRanges(
            text.split(separator: "\n").compactMap { line in
                let fields = line.split(separator: ":", omittingEmptySubsequences: false)
                guard fields.count == 3, fields[0] == owner, let first = UInt32(fields[1]),
                    let count = UInt32(fields[2])
                else { return nil }
                // 2^32 - 1 is nobody's.
                return UInt64(first)..<min(UInt64(first) + UInt64(count), UInt64(UInt32.max))
            })
    }
}
