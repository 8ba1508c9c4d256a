import LinuxSystem
import Testing

/// A command that is killed at one system call after another, and the driver of its store.
struct CrashCase: Sendable, CustomTestStringConvertible {
    enum Operation: String, CaseIterable {
        case pull, pullSharedLayers, load, importing, commit, copyToStore, copyToLayout, tag, untag, rmi
        case create, runDetached, runRemoved, startAndStop, rm, volumeCreate, volumeRemove
        case prune, migrate, imageMount, imageUnmount
        case artifactAdd, artifactReplace, artifactRemove
    }

    var operation: Operation
    var driver: String

    var testDescription: String { "\(operation.rawValue), \(driver)" }

    static let all =
        Operation.allCases.map { CrashCase(operation: $0, driver: "overlay") }
        + ["vfs", "btrfs", "erofs"].flatMap { driver in
            [.pull, .commit, .rmi, .runDetached, .migrate].map { CrashCase(operation: $0, driver: driver) }
        }

    /// Mounts, and what stands beside them, end with the boot.
    static let outlivingBoots = all.filter { ![.imageMount, .imageUnmount].contains($0.operation) }
}

/// What is run, and what else it may leave than the state of before or that of after.
struct CrashPlan {
    /// One after the other, while they succeed.
    var commands: [[String]]
    /// It has several steps, each of which is whole.
    var hasSteps = false
    /// Its container's file system is made when it starts, and not before.
    var runsContainer = false
    /// Returns when what goes on after the command has ended, too.
    var settling: [String]?
    /// Puts the store back as it was, whatever the command had done.
    var undo: [String]?
    /// An image layout that the command writes to.
    var layout: String?

    init(_ crash: CrashCase, on host: Host) throws {
        let files = Files()
        let image = ImageBuilder(files.small.archive, files.extra.archive)
        let layout = host.path("layout")
        try image.writeLayout(to: layout, tag: "v1")
        let name = "localhost/crash:v1"
        let container = "\(host.prefix)-c"
        func pulled() throws -> String { try host.ok("pull", "-q", "oci:\(layout):v1") }
        func create(_ command: String..., from image: String) throws {
            try host.ok(list: ["create", "--name", container, "--network", "none", image] + command)
        }
        func put(_ commands: [String]...) { self.commands = commands.map { host.command + $0 } }

        commands = []
        switch crash.operation {
        case .pull: put(["pull", "-q", "oci:\(layout):v1"])
        case .pullSharedLayers:
            try ImageBuilder(files.small.archive).writeLayout(to: host.path("base"), tag: "v1")
            try host.ok("pull", "-q", "oci:\(host.path("base")):v1")
            put(["pull", "-q", "oci:\(layout):v1"])
        case .load:
            let archive = host.path("image.tar")
            try File.replace(archive, with: try image.dockerArchive(tags: [name]), durable: false)
            put(["load", "-q", "-i", archive])
        case .importing:
            let tar = host.path("root.tar")
            try File.replace(tar, with: files.extra.archive, durable: false)
            put(["import", tar, name])
        case .commit:
            try create("true", from: try pulled())
            try host.ok("cp", "-", "\(container):/", input: .bytes(files.changed.archive))
            put(["commit", "-q", container, name])
        case .copyToStore:
            commands = [
                [
                    Programs.apus, "--root", host.path("other"), "--runroot", host.path("other-run"), "copy",
                    "-q", "oci:\(layout):v1", "apus:[\(host.root)]\(name)",
                ]
            ]
        case .copyToLayout:
            let target = "\(host.root)/layout"
            try ImageBuilder(files.small.archive).writeLayout(to: target, tag: "v1")
            self.layout = target
            put(["copy", "-q", "oci:\(layout):v1", "oci:\(target):v2"])
        case .tag: put(["tag", try pulled(), name])
        case .untag:
            let id = try pulled()
            try host.ok("tag", id, name)
            try host.ok("tag", id, "localhost/crash:v2")
            put(["rmi", name])
        case .rmi: put(["rmi", try pulled()])
        case .create:
            put(["create", "--name", container, "--network", "none", try pulled(), "true"])
        case .runDetached, .runRemoved:
            let how = crash.operation == .runRemoved ? "--rm" : "-d"
            put(["run", how, "--name", container, "--network", "none", try host.busybox(), "true"])
            if how == "-d" { settling = ["wait", container] }
            undo = ["rm", "-f", "-i", "-t", "0", container]
            runsContainer = true
        case .startAndStop:
            try create("sleep", "1000", from: try host.busybox())
            put(["start", container], ["stop", "-t", "0", container])
            hasSteps = true
            runsContainer = true
        case .rm:
            try create("true", from: try pulled())
            put(["rm", container])
        case .volumeCreate: put(["volume", "create", "vol"])
        case .volumeRemove:
            try host.ok("volume", "create", "vol")
            put(["volume", "rm", "vol"])
        case .prune:
            try host.ok("tag", try pulled(), name)
            try host.ok("tag", try host.busybox(), "localhost/other:v1")
            try create("true", from: name)
            try host.ok("volume", "create", "vol")
            put(["system", "prune", "--all", "--volumes", "--force"])
            hasSteps = true
        case .migrate:
            try create("true", from: try pulled())
            try host.ok("cp", "-", "\(container):/", input: .bytes(files.changed.archive))
            // Older kernels have no erofs that lies in a file.
            let probe = ["--root", host.path("probe"), "--storage-driver", "erofs", "info"]
            let fromVFS = try host.apus(list: probe).exit == 0 ? "erofs" : "overlay"
            let targets = ["overlay": "vfs", "vfs": fromVFS, "erofs": "overlay", "btrfs": "vfs"]
            put(["system", "migrate", targets[crash.driver]!])
        case .imageMount: put(["image", "mount", try pulled()])
        case .imageUnmount:
            let id = try pulled()
            try host.ok("image", "mount", id)
            put(["image", "unmount", id])
        case .artifactAdd: put(["artifact", "add", name] + (try files.named(on: host, "one", "two")))
        case .artifactReplace:
            let paths = try files.named(on: host, "one", "two")
            try host.ok("artifact", "add", name, paths[0])
            put(["artifact", "add", "--replace", name, paths[1]])
        case .artifactRemove:
            try host.ok(list: ["artifact", "add", name] + (try files.named(on: host, "one", "two")))
            put(["artifact", "rm", name])
        }
    }

    private struct Files {
        var small = TarBuilder()
        var extra = TarBuilder()
        var changed = TarBuilder()

        init() {
            small.add("etc/", .directory)
            small.add("etc/motd", .file, "hello\n")
            for index in 0..<8 {
                extra.add("dir\(index)/", .directory)
                extra.add("dir\(index)/file", .file, String(repeating: "x", count: 9_000))
            }
            changed.add("dir0/file", .file, "changed\n")
            changed.add("new/", .directory)
            changed.add("new/file", .file, String(repeating: "y", count: 9_000))
            changed.add("new/link", .symbolicLink, link: "file")
        }

        /// Files on the host, each of its own size.
        func named(on host: Host, _ names: String...) throws -> [String] {
            try names.enumerated().map { index, name in
                try host.write(String(repeating: name, count: 3_000 + index), to: name)
            }
        }
    }
}
