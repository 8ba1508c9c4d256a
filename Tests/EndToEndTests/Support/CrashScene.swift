import LayerArchive
import LinuxSystem

/// One command, the store before it, and what the store is to be like before and after it.
final class CrashScene {
    /// All programs are built into the same directory as the tests.
    private static let tracer: String = {
        let own = (try? File.readLink("/proc/self/exe")) ?? ""
        return own[..<(own.lastIndex(of: "/") ?? own.startIndex)] + "/crash-point"
    }()

    private let host: Host
    private let disk: CrashDisk?
    private let arguments: [String]
    private let environment: [String]
    private let before: [String]
    private let after: [String]
    /// The calls of the command by which it changes the disk.
    let calls: Int

    init(_ host: Host, _ operation: EndToEnd.CrashPointTests.Operation, on disk: CrashDisk? = nil) throws {
        self.host = host
        self.disk = disk
        environment = host.environment + ["SOURCE_DATE_EPOCH=0"]
        arguments = try Self.prepare(host, operation)
        // What takes long to remove is removed in the background.
        try host.ok("system", "sweep")
        before = try Self.inventory(host)
        try Self.keep(host, disk)
        let report = host.path("calls")
        let finished = try ProgramRun.run(
            [Self.tracer, "--report", report] + host.command + arguments,
            environment: environment)
        guard finished.exit == 0 else { throw Unexpected("\(finished)") }
        calls = Int(try File.readText(report).trimmed) ?? 0
        try host.ok("system", "sweep")
        after = try Self.inventory(host)
        guard calls > 0, before != after else { throw Unexpected("\(arguments) changes nothing") }
    }

    private static func prepare(_ host: Host, _ operation: EndToEnd.CrashPointTests.Operation) throws
        -> [String]
    {
        var extra = TarBuilder()
        for index in 0..<8 {
            extra.add("dir\(index)/", .directory)
            extra.add("dir\(index)/file", .file, String(repeating: "x", count: 9_000))
        }
        var small = TarBuilder()
        small.add("etc/", .directory)
        small.add("etc/motd", .file, "hello\n")
        let image = ImageBuilder(small.archive, extra.archive)
        let layout = host.path("layout")
        try image.writeLayout(to: layout, tag: "v1")
        try ImageBuilder(small.archive).writeLayout(to: host.path("base"), tag: "v1")
        let name = "localhost/crash:v1"
        func pulled() throws -> String { try host.ok("pull", "-q", "oci:\(layout):v1") }
        switch operation {
        case .pull:
            try host.ok("images")
            return ["pull", "-q", "oci:\(layout):v1"]
        case .pullSharedLayers:
            try host.ok("pull", "-q", "oci:\(host.path("base")):v1")
            return ["pull", "-q", "oci:\(layout):v1"]
        case .load:
            let archive = host.path("image.tar")
            try File.replace(archive, with: try image.dockerArchive(tags: [name]), durable: false)
            return ["load", "-q", "-i", archive]
        case .importing:
            let tar = host.path("root.tar")
            try File.replace(tar, with: extra.archive, durable: false)
            return ["import", tar, name]
        case .tag: return ["tag", try pulled(), name]
        case .untag:
            let id = try pulled()
            try host.ok("tag", id, name)
            try host.ok("tag", id, "localhost/crash:v2")
            return ["rmi", name]
        case .rmi: return ["rmi", try pulled()]
        case .create:
            return ["create", "--name", "\(host.prefix)-c", "--network", "none", try pulled(), "true"]
        case .rm:
            let container = "\(host.prefix)-c"
            try host.ok("create", "--name", container, "--network", "none", try pulled(), "true")
            return ["rm", container]
        case .volumeCreate: return ["volume", "create", "vol"]
        case .volumeRemove:
            try host.ok("volume", "create", "vol")
            return ["volume", "rm", "vol"]
        }
    }

    /// Which calls to crash at: all, or so many, spread over the command, with the first and the last.
    func sample(_ points: Int?) -> [Int] {
        guard let points, points < calls else { return Array(1...calls) }
        guard points > 1 else { return [calls] }
        return (0..<points).map { 1 + $0 * (calls - 1) / (points - 1) }
    }

    private static func keep(_ host: Host, _ disk: CrashDisk?) throws {
        if let disk {
            try disk.keep()
        } else {
            try ProgramRun.tool("cp", "-a", host.root, host.path("root.kept"))
        }
    }

    func restore() throws {
        if let disk {
            try disk.restore()
        } else {
            try File.removeTree(host.root)
            try ProgramRun.tool("cp", "-a", host.path("root.kept"), host.root)
        }
        try? File.removeTree(host.runRoot)
    }

    /// - Returns: false when the command made fewer calls this time.
    func crash(at call: Int, syncAt: Int? = nil) throws -> Bool {
        let sync = syncAt.map { ["--sync-at", "\($0)"] } ?? []
        let finished = try ProgramRun.run(
            [Self.tracer, "--kill-at", "\(call)"] + sync + host.command + arguments,
            environment: environment)
        return finished.exit == 137
    }

    func complete() throws {
        let finished = try ProgramRun.run(host.command + arguments, environment: environment)
        guard finished.exit == 0 else { throw Unexpected("\(finished)") }
    }

    /// Uses the store as the next process would.
    /// - Returns: whether the command had done its work.
    func verify(_ moment: String) throws -> Bool {
        try host.ok("ps", "-a")
        try host.ok("images", "-a")
        try host.ok("system", "sweep")
        let found = try Self.inventory(host)
        let isDone = found == after
        if found != before, !isDone {
            throw Unexpected(
                "\(moment) left\n  \(found.joined(separator: "\n  "))\nneither as before\n  "
                    + before.joined(separator: "\n  ") + "\nnor as after\n  "
                    + after.joined(separator: "\n  "))
        }
        if isDone { return true }
        do { try complete() } catch { throw Unexpected("\(moment), then: \(error)") }
        try host.ok("system", "sweep")
        let end = try Self.inventory(host)
        if end != after {
            throw Unexpected(
                "\(moment), then done again:\n  \(end.joined(separator: "\n  "))\nnot\n  "
                    + after.joined(separator: "\n  "))
        }
        return false
    }

    /// What a user sees, what the store holds, and every layer's files to the byte.
    private static func inventory(_ host: Host) throws -> [String] {
        var lines: [String] = []
        for list in [
            ["images", "-a", "--format", "image {{.Repository}}:{{.Tag}}"],
            ["ps", "-a", "--format", "container {{.Names}} {{.Status}}"],
            ["volume", "ls", "--format", "volume {{.Name}}"],
        ] {
            let finished = try host.apus(list: list)
            guard finished.exit == 0 else { throw Unexpected("\(finished)") }
            lines += finished.lines
        }
        for place in ["blobs/sha256", "overlay/snapshots", "containers", "volumes", "ingest", "trash"] {
            lines.append("\(try File.names(in: "\(host.root)/\(place)").count) in \(place)")
        }
        for name in try File.names(in: "\(host.root)/blobs/sha256") {
            let bytes = try File.read("\(host.root)/blobs/sha256/\(name)")
            if "\(Digest.sha256(of: bytes))" != "sha256:\(name)" { lines.append("damaged blob \(name)") }
        }
        let layers = "\(host.root)/overlay/layers"
        for name in try File.names(in: layers) {
            // Not the layer's root itself: no entry of the layer tells its time.
            let tree = "\(layers)/\(name)/diff"
            let tar = try ProgramRun.run(
                [
                    Programs.find("tar") ?? "tar", "-C", tree, "--sort=name", "--xattrs",
                    "--pax-option=delete=atime,delete=ctime", "--numeric-owner",
                    "-cf",
                    "-", "--",
                ] + (try File.names(in: tree).sorted()))
            guard tar.exit == 0 else { throw Unexpected("\(tar)") }
            lines.append("layer \(Digest.sha256(of: tar.output))")
        }
        return lines.sorted()
    }
}

/// An ext4 of its own below the store: it loses what was not written when the power is cut.
final class CrashDisk {
    private let host: Host
    private let image: String
    private let kept: String

    init(_ host: Host) throws {
        self.host = host
        image = host.path("disk")
        kept = host.path("disk.kept")
        try ProgramRun.tool("truncate", "-s", "96M", image)
        try ProgramRun.tool("mkfs.ext4", "-q", "-E", "lazy_itable_init=0", image)
        try File.makeDirectories(host.root)
        try mount()
        host.later { [self] in try? unmount() }
    }

    /// The journal is written when somebody asks for it, not by the clock.
    private func mount() throws {
        try ProgramRun.tool("mount", "-o", "loop,commit=900", image, host.root)
    }

    private func unmount() throws {
        // Whoever was killed may not be gone yet.
        try host.eventually("unmount \(host.root)") {
            for mount in Kernel.mounts().reversed() where mount.hasPrefix(host.root) { umount2(mount, 0) }
            return !Kernel.mounts().contains { $0.hasPrefix(host.root) }
        }
    }

    func keep() throws {
        try unmount()
        try copy(image, kept)
        try mount()
    }

    func restore() throws {
        try unmount()
        try copy(kept, image)
        try mount()
    }

    /// What is in the image now is what has reached the disk.
    func losePower() throws {
        try copy(image, "\(image).lost")
        try unmount()
        try File.rename("\(image).lost", to: image)
        try mount()
        try? File.removeTree(host.runRoot)
        // The host has booted since.
        try File.replace("\(host.root)/boot", with: Array("another boot\n".utf8), durable: false)
    }

    /// Into a new file: a loop device that still had the old one would be used again, with what it
    /// remembers.
    private func copy(_ source: String, _ target: String) throws {
        try? File.unlink(target)
        try ProgramRun.tool("cp", "--sparse=always", source, target)
    }
}
