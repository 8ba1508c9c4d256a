import LinuxSystem
import OCISpec

/// The set-user-ID programs that write the ID maps of a user's namespaces as far as /etc/subuid
/// and /etc/subgid allow that (newuidmap(1), newgidmap(1)).
enum MappingTool: String {
    case users = "newuidmap"
    case groups = "newgidmap"

    private static let saidLimit = 1000

    /// - Throws: what the program said, or that there is none.
    func map(_ pid: pid_t, _ mappings: [IDMapping]) throws(RuntimeError) {
        guard let program else {
            throw RuntimeError(
                .system,
                "only a user's own ID can be mapped without \(rawValue), which is not in PATH")
        }
        var arguments = [rawValue, String(pid)]
        for mapping in mappings {
            arguments += [String(mapping.containerID), String(mapping.hostID), String(mapping.size)]
        }
        let (status, said) = try during("run \(program)") { () throws(SystemError) in
            let output = try FD.pipe()
            let reading = output.reading
            let writing = output.writing
            let child = try Spawn.start(
                program, arguments, environment: [], descriptors: [nil, writing.raw, writing.raw])
            try writing.close()
            let said = try? FD.readAll(reading.raw, limit: 1 << 20)
            return (try Spawn.wait(child), said ?? [])
        }
        guard status.exitCode == 0 else {
            let words = String(decoding: said.prefix(Self.saidLimit), as: UTF8.self).split(separator: "\n")
            throw RuntimeError(
                .system, "\(rawValue) failed: \(words.joined(separator: "; "))")
        }
    }

    /// Absolute: what a working directory happens to have is not meant.
    private var program: String? {
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        for directory in path.split(separator: ":") where directory.utf8.first == UInt8(ascii: "/") {
            let file = "\(directory)/\(rawValue)"
            if let status = try? File.status(file), status.st_mode & S_IFMT == S_IFREG,
                access(file, X_OK) == 0
            {
                return file
            }
        }
        return nil
    }
}
