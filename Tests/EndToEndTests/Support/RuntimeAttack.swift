import JSONText
import LinuxSystem
import Synchronization

/// A directory of the host that no container has been given: an attack that reaches it has won.
struct Bait {
    static let secret = "kept by the host"

    let path: String
    private let before: [String]

    init(_ host: Host) throws {
        path = host.path("bait")
        for name in ["kept", "null", "ptmx", "console", "exe"] {
            try host.write(Self.secret, to: "bait/\(name)")
        }
        try File.makeDirectories("\(path)/sub")
        before = try Self.picture(path)
    }

    /// What an attack has changed.
    var damage: [String] {
        guard let now = try? Self.picture(path) else { return ["\(path) is gone"] }
        return Set(now).symmetricDifference(before).sorted()
    }

    private static func picture(_ directory: String) throws -> [String] {
        var lines: [String] = []
        for name in try File.names(in: directory) {
            let path = "\(directory)/\(name)"
            let status = try File.status(path, followLinks: false)
            lines.append("\(name) \(status.st_ino) \(status.st_mode) \(status.st_uid) \(status.st_size)")
            if status.st_mode & S_IFMT == S_IFDIR { lines += try picture(path).map { "\(name)/\($0)" } }
        }
        return lines
    }
}

/// Exchanges two names without a pause, as fast as the kernel does it: the strongest form of
/// what another container that shares the directory can do. Ends with `end` or with the value.
final class Exchanger {
    private final class Work: Sendable {
        let first: String
        let second: String
        let stop = StopFlag()
        let count = Atomic<Int>(0)

        init(_ first: String, _ second: String) { (self.first, self.second) = (first, second) }

        func run() {
            while !stop.isRaised {
                let result = first.withCString { first in
                    second.withCString { second in
                        linux_syscall(
                            Int(SYS_renameat2), Int(AT_FDCWD), Int(bitPattern: first), Int(AT_FDCWD),
                            Int(bitPattern: second), 2 /* RENAME_EXCHANGE */, 0)
                    }
                }
                if result == 0 { count.add(1, ordering: .relaxed) }
            }
        }
    }

    private let work: Work
    private var thread: pthread_t?

    init(_ first: String, _ second: String) {
        work = Work(first, second)
        var thread = pthread_t()
        let error = pthread_create(
            &thread, nil,
            {
                Unmanaged<Work>.fromOpaque($0!).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(work).toOpaque())
        precondition(error == 0)
        self.thread = thread
    }

    /// - Returns: how often the names were exchanged.
    @discardableResult
    func end() -> Int {
        work.stop.raise()
        if let thread { pthread_join(thread, nil) }
        thread = nil
        return work.count.load(ordering: .relaxed)
    }

    deinit { end() }
}

extension EndToEnd.RuntimeCommandTests.Bundle {
    var rootfs: String { "\(path)/rootfs" }

    /// Replaces the command by a shell script.
    func script(_ text: String) throws { try command("sh", "-c", text) }

    func command(_ arguments: String...) throws {
        try process { $0["args"] = .array(arguments.map { .string($0) }) }
    }

    func process(_ change: (inout JSONObject) -> Void) throws {
        try member("process", change)
    }

    func linux(_ change: (inout JSONObject) -> Void) throws { try member("linux", change) }

    private func member(_ name: String, _ change: (inout JSONObject) -> Void) throws {
        try edit { config in
            var object = config[name]?.object ?? [:]
            change(&object)
            config[name] = .object(object)
        }
    }

    func mounts(_ change: (inout [JSON]) -> Void) throws {
        try edit { config in
            var mounts = config["mounts"]?.array ?? []
            change(&mounts)
            config["mounts"] = .array(mounts)
        }
    }

    func bind(_ source: String, on destination: String, _ options: String...) throws {
        try mounts {
            $0.append([
                "destination": .string(destination), "type": "bind", "source": .string(source),
                "options": .array((["rbind"] + options).map { .string($0) }),
            ])
        }
    }

    func removeMounts(_ destinations: String...) throws {
        try mounts { $0.removeAll { destinations.contains($0["destination"]?.string ?? "") } }
    }

    /// What Docker gives, and some more: an attacker with nearly all rights.
    func giveRights(_ more: String...) throws {
        let names: JSON = .array(
            ([
                "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
                "CAP_SETGID", "CAP_SETUID", "CAP_SYS_CHROOT",
            ] + more).map { .string($0) })
        try process {
            $0["capabilities"] = ["bounding": names, "effective": names, "permitted": names]
            $0["noNewPrivileges"] = false
        }
    }

    /// A name in the root file system becomes a link.
    func plant(_ target: String, at name: String) throws {
        try? File.removeTree("\(rootfs)/\(name)")
        try File.makeSymbolicLink(to: target, "\(rootfs)/\(name)")
    }

    /// Runs the container to its end, under a name that need not differ from others.
    func attack() throws -> Finished {
        let finished = try run("run", "--bundle", path, "attack")
        _ = try run("delete", "--force", "attack")
        return finished
    }

    /// Makes containers again and again for a bounded time.
    /// - Parameter seen: looks at each one's end.
    func attackRepeatedly(for duration: Duration = .seconds(1), _ seen: (Finished) throws -> Void) throws {
        let deadline = ContinuousClock.now + duration
        repeat { try seen(try attack()) } while ContinuousClock.now < deadline
    }
}
