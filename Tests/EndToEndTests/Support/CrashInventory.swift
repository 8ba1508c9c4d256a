import LayerArchive
import LinuxSystem

/// What a user sees of a store, what it holds, and all its files to the byte.
struct CrashInventory {
    /// By which the states of before and after are told.
    private(set) var facts: [String] = []
    /// Of containers' own files.
    private(set) var snapshots: [String] = []
    /// What may lie there until the command is run again.
    private(set) var extras: Set<String> = []
    /// What must not be, whatever happened.
    private(set) var faults: [String] = []

    private let host: Host

    init(_ host: Host, _ plan: CrashPlan, since census: Kernel.Census) throws {
        self.host = host
        try addLists()
        try addCounts()
        try addBlobs(in: "\(host.root)/blobs/sha256")
        try addTrees()
        if let layout = plan.layout { try addLayout(layout) }
        if plan.runsContainer { try addChanges() } else { facts += snapshots }
        addKernel(since: census)
        let check = try host.apus("system", "check")
        if check.exit != 0 || !check.output.isEmpty || !check.errors.isEmpty { faults.append("\(check)") }
        facts.sort()
    }

    private mutating func addLists() throws {
        for list in [
            ["images", "-a", "--format", "image {{.Repository}}:{{.Tag}}"],
            ["volume", "ls", "--format", "volume {{.Name}}"],
            ["info", "--format", "driver {{.Driver}}"],
            ["image", "mount"],
            ["artifact", "ls", "--format", "artifact {{.Repository}}:{{.Tag}} {{.VirtualSize}}"],
        ] {
            let listed = try host.apus(list: list)
            try listed.requireSuccess()
            facts += listed.lines
        }
        for line in try host.ok("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.Status}}").split(
            separator: "\n")
        {
            // All its processes were killed.
            if line.contains(" Up ") { faults.append("running: \(line)") }
            // Without its ID and the time that has passed.
            let end = line.firstIndex(of: ")").map { line.index(after: $0) } ?? line.endIndex
            facts.append("container \(line[..<end].drop { $0 != " " })")
        }
    }

    private mutating func addCounts() throws {
        var places = ["blobs/sha256", "containers", "volumes"]
        for driver in ["overlay", "vfs", "btrfs", "erofs"] {
            places += ["layers", "implied", "trees", "snapshots"].map { "\(driver)/\($0)" }
        }
        places += Self.names("\(host.root)/erofs/objects").map { "erofs/objects/\($0)" }
        let containers = try host.ok("ps", "-aq", "--no-trunc").split(separator: "\n").map(String.init)
        for place in places {
            let count = Self.names("\(host.root)/\(place)").count
            if count > 0 {
                let fact = "\(count) in \(place)"
                if place.hasSuffix("snapshots") { snapshots.append(fact) } else { facts.append(fact) }
            }
        }
        for place in ["ingest", "trash", "locks"] {
            // The clean-up after a run may still hold its container's.
            let used = ["content", "store"] + containers.map { "container-\($0)" }
            for name in Self.names("\(host.root)/\(place)") where !used.contains(name) {
                faults.append("\(place)/\(name)")
            }
        }
        faults += Self.names(host.root).filter { $0.hasSuffix(".tmp") }
        for place in ["\(host.root)/containers", "\(host.runRoot)/containers", "\(host.runRoot)/runtime"] {
            for name in Self.names(place) where !containers.contains(name) {
                faults.append("of no container: \(place)/\(name)")
            }
        }
        faults += Self.names("\(host.runRoot)/held").map { "held \($0)" }
        let mounted = try host.ok("image", "mount")
        for name in Self.names("\(host.runRoot)/images") where !mounted.contains(name.prefix(64)) {
            faults.append("of no mounted image: \(name)")
        }
    }

    private static func names(_ place: String) -> [String] { (try? File.names(in: place)) ?? [] }

    private mutating func addBlobs(in directory: String) throws {
        for name in Self.names(directory) {
            let bytes = try File.read("\(directory)/\(name)")
            if "\(Digest.sha256(of: bytes))" != "sha256:\(name)" {
                faults.append("damaged: \(directory)/\(name)")
            }
        }
    }

    private mutating func addTrees() throws {
        for driver in ["overlay", "vfs", "btrfs", "erofs"] {
            for (place, trees, options) in [
                ("layers", ["diff"], ["--xattrs"]), ("trees", ["rootfs"], ["--xattrs"]),
                // Of when the container ran are the times, and overlay's own attributes.
                ("snapshots", ["upper", "rootfs"], ["--mtime=@0"]),
            ] {
                for name in Self.names("\(host.root)/\(driver)/\(place)") {
                    for tree in trees {
                        let path = "\(host.root)/\(driver)/\(place)/\(name)/\(tree)"
                        guard File.exists(path) else { continue }
                        let fact = "\(driver)/\(place) \(try Self.digest(ofTree: path, options))"
                        if place == "snapshots" { snapshots.append(fact) } else { facts.append(fact) }
                    }
                }
            }
        }
    }

    private static func digest(ofTree tree: String, _ options: [String]) throws -> Digest {
        let names = names(tree)
        if names.isEmpty { return Digest.sha256(of: []) }
        // Not the root itself: no entry of a layer tells its time.
        let tar = try ProgramRun.run(
            [Programs.find("tar") ?? "tar", "-C", tree, "--sort=name"] + options + [
                "--pax-option=delete=atime,delete=ctime", "--numeric-owner", "-cf", "-", "--",
            ] + names.sorted())
        try tar.requireSuccess()
        return Digest.sha256(of: tar.output)
    }

    /// What runs in these plans changes nothing: each file is the image's, whatever was cut short.
    private mutating func addChanges() throws {
        for id in try host.ok("ps", "-aq").split(separator: "\n") {
            // What the mounts stand on was made there.
            let changes = try host.ok("diff", String(id)).split(separator: "\n").filter { $0 != "C /etc" }
            if !changes.isEmpty { faults.append("changed in \(id): \(changes)") }
        }
    }

    private mutating func addLayout(_ layout: String) throws {
        try addBlobs(in: "\(layout)/blobs/sha256")
        extras.formUnion(Self.names("\(layout)/blobs/sha256"))
        for name in Self.names(layout) where name != "blobs" {
            if name.hasPrefix(".") {
                extras.insert(name)
            } else {
                facts.append("\(name) \(Digest.sha256(of: try File.read("\(layout)/\(name)")))")
            }
        }
    }

    private mutating func addKernel(since census: Kernel.Census) {
        // The disk itself is one.
        let mounts = Kernel.mounts().filter {
            $0.hasPrefix(host.scratch) && $0 != host.root && !$0.contains("/images/")
        }
        facts += mounts.map { "mounted: \($0)" }
        facts += Kernel.census().newer(than: census)
    }

    func has(_ other: CrashInventory) -> Bool { facts == other.facts && extras.isSuperset(of: other.extras) }

    func `is`(_ other: CrashInventory) -> Bool { facts == other.facts && extras == other.extras }

    var lines: String { (facts + extras.sorted()).joined(separator: "\n  ") }
}
