import JSONText
import LinuxSystem

/// A user of a test's own, who is nobody on the host but for the test's files, and a bundle of his.
///
/// His number is enough for most things. With `ranges` he has a name and ranges of other IDs too
/// (subuid(5)), in a mount namespace of the command alone: the host's user database stays as it is.
///
/// With `APUS_LOGIN` he is that user of the host's, and each command a login of his (su(1), PAM): in
/// a session's control group, with the run directory and the ranges that the host gave him.
final class RootlessUser {
    static let login = Programs.environment("APUS_LOGIN").flatMap { $0.isEmpty ? nil : $0 }
    /// No distribution gives this to anyone.
    static let id = login == nil ? 61_235 : record("/etc/passwd", 2) ?? 0
    static let firstSubordinateUser = login == nil ? 1_000_000 : record("/etc/subuid", 1) ?? 0
    static let firstSubordinateGroup = login == nil ? 2_000_000 : record("/etc/subgid", 1) ?? 0

    /// A number of the login's line in a file of lines with colons.
    private static func record(_ file: String, _ field: Int) -> Int? {
        guard let login, let text = try? File.readText(file) else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix(login + ":") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count > field { return Int(fields[field]) }
        }
        return nil
    }

    let host: Host
    let bundle: String
    private let runtime: String
    private let hasRanges: Bool
    private var searchPath: String
    private(set) var config: JSON = .null

    var runtimeDirectory: String { Self.login == nil ? host.path("xdg") : "/run/user/\(Self.id)" }

    /// - Parameter namespaceRoot: commands run as root of a user namespace of the user's.
    init(
        _ host: Host, arguments: [String] = ["true"], ranges: Bool = false, namespaceRoot: Bool = false
    ) throws {
        self.host = host
        hasRanges = ranges
        isNamespaceRoot = namespaceRoot
        searchPath = ranges ? Programs.searchPath : "/no/helpers:/bin:/usr/bin"
        bundle = host.path("bundle")
        if Programs.peer == nil {
            // Where it was built others may see nothing, as in root's home.
            runtime = host.path("program/apus-runtime")
            try File.makeDirectories(host.path("program"))
            try ProgramRun.tool("cp", Programs.runtime, runtime)
        } else {
            runtime = Programs.find("runc") ?? "runc"
        }
        for directory in [bundle, "\(bundle)/rootfs", host.path("xdg"), host.path("bin")] {
            try File.makeDirectories(directory)
        }
        if !ranges {
            // Found before the helpers, which a user without ranges does not have.
            searchPath = host.path("bin")
            for program in ["sh", "ps", "setpriv", "unshare", "cat"] {
                guard let path = Programs.find(program) else { continue }
                try File.makeSymbolicLink(to: path, "\(searchPath)/\(program)")
            }
        }
        try ProgramRun.tool("tar", "-C", "\(bundle)/rootfs", "-xf", try Fixtures.busyboxTar())
        try ProgramRun.tool("chown", "-R", "\(Self.id):\(Self.id)", bundle, host.path("xdg"))
        if ranges, Self.login == nil { try writeDatabases() }
        let made = try run(namespaceRoot ? ["spec"] : ["spec", "--rootless"], in: bundle)
        guard made.exit == 0 else { throw Unexpected("\(made)") }
        config = try JSON(parsing: try File.read("\(bundle)/config.json"))
        try edit { config in
            var process = config["process"]?.object ?? [:]
            process["args"] = .array(arguments.map { .string($0) })
            process["terminal"] = false
            process["env"] = ["PATH=/bin"]
            process["rlimits"] = nil
            config["process"] = .object(process)
            config["root"] = ["path": "rootfs", "readonly": false]
            // A namespace with one group has no group for terminals.
            config["mounts"] = .array(
                (config["mounts"]?.array ?? []).map { mount in
                    var mount = mount.object ?? [:]
                    mount["options"] = mount["options"]?.array.map { .array($0.filter { $0 != "gid=5" }) }
                    return .object(mount)
                })
        }
        host.later { [self] in
            for id in (try? File.names(in: state)) ?? [] { _ = try? run(["delete", "-f", id]) }
        }
    }

    private let isNamespaceRoot: Bool

    var state: String {
        "\(runtimeDirectory)/\(Programs.peer == nil ? "apus-runtime" : "runc")"
    }

    private func writeDatabases() throws {
        let line = "apus-rootless:x:\(Self.id):\(Self.id)::/:/bin/sh\n"
        try host.write(try File.readText("/etc/passwd") + line, to: "etc/passwd")
        try host.write("apus-rootless:\(Self.firstSubordinateUser):65536\n", to: "etc/subuid")
        try host.write("apus-rootless:\(Self.firstSubordinateGroup):65536\n", to: "etc/subgid")
    }

    func edit(_ change: (inout JSONObject) throws -> Void) throws {
        var object = config.object ?? [:]
        try change(&object)
        config = .object(object)
        try File.replace("\(bundle)/config.json", with: config.bytes(indent: "  "), durable: false)
    }

    func editLinux(_ change: (inout JSONObject) -> Void) throws {
        try edit { config in
            var linux = config["linux"]?.object ?? [:]
            change(&linux)
            config["linux"] = .object(linux)
        }
    }

    /// The whole line that runs the runtime as the user.
    /// - Parameter wrapper: a command of the user's that executes the runtime.
    func command(
        _ arguments: [String], globals: [String] = [], in directory: String? = nil, wrapper: [String] = []
    ) -> [String] {
        var command = ["env", "-i"]
        if let directory { command += ["--chdir", directory] }
        command += ["PATH=\(searchPath)", "XDG_RUNTIME_DIR=\(runtimeDirectory)", "TERM=xterm"]
        command += wrapper + [runtime] + globals + arguments
        if isNamespaceRoot { command = ["unshare", "--map-root-user", "--user"] + command }
        // A login's shell goes home; what it is given as a line executes its arguments.
        if let login = Self.login {
            return ["su", "--login", "--command", "exec \"$@\"", "--", login, "sh"] + command
        }
        command = ["setpriv", "--reuid=\(Self.id)", "--regid=\(Self.id)", "--clear-groups"] + command
        guard hasRanges else { return command }
        let mounts = ["passwd", "subuid", "subgid"].map {
            "mount --bind \(host.path("etc/\($0)")) /etc/\($0)"
        }
        return [
            "unshare", "--mount", "--propagation", "private", "sh", "-c",
            mounts.joined(separator: " && ") + " && exec \"$@\"", "sh",
        ] + command
    }

    func run(
        _ arguments: [String], globals: [String] = [], input: ProgramRun.Input = .nothing,
        in directory: String? = nil, wrapper: [String] = []
    ) throws -> Finished {
        try ProgramRun.run(
            command(arguments, globals: globals, in: directory, wrapper: wrapper), input: input)
    }

    func run(_ arguments: String..., input: ProgramRun.Input = .nothing) throws -> Finished {
        try run(arguments, input: input)
    }

    /// `run` of the bundle.
    func container(_ id: String, globals: [String] = []) throws -> Finished {
        try run(["run", "--bundle", bundle, id], globals: globals)
    }

    /// A container that goes on, with the null device as its standard streams.
    func started(_ id: String, globals: [String] = [], wrapper: [String] = []) throws {
        let line = command(
            ["run", "--detach", "--bundle", bundle, id], globals: globals, wrapper: wrapper
        ).map { "'\($0)'" }.joined(separator: " ")
        let finished = try ProgramRun.run([
            "sh", "-c", "\(line) < /dev/null > \(host.path("out")) 2>&1",
        ])
        guard finished.exit == 0 else {
            throw Unexpected("\(finished) \((try? File.readText(host.path("out"))) ?? "")")
        }
    }

    func status(_ id: String) throws -> JSON {
        let finished = try run("state", id)
        guard finished.exit == 0 else { throw Unexpected("\(finished)") }
        return try JSON(parsing: finished.text)
    }
}
