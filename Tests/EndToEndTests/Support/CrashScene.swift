import LinuxSystem

/// One command, the store before it, and what the store is to be like before and after it.
final class CrashScene {
    /// All programs are built into the same directory as the tests.
    private static let tracer: String = {
        let own = (try? File.readLink("/proc/self/exe")) ?? ""
        return own[..<(own.lastIndex(of: "/") ?? own.startIndex)] + "/crash-point"
    }()

    private let host: Host
    private let crash: CrashCase
    private let disk: CrashDisk?
    private let plan: CrashPlan
    private let environment: [String]
    private let census: Kernel.Census
    private let before: CrashInventory
    private let after: CrashInventory
    /// The calls of the command by which it changes the disk.
    let calls: Int

    /// - Returns: nil when the driver cannot be used here.
    init?(_ host: Host, _ crash: CrashCase, losesPower: Bool) throws {
        self.host = host
        self.crash = crash
        let isOnBtrfs = crash.driver == "btrfs"
        if isOnBtrfs, Programs.find("mkfs.btrfs") == nil {
            print("skipped: mkfs.btrfs is not installed")
            return nil
        }
        // Copies of a tree have no subvolumes.
        disk = try losesPower || isOnBtrfs ? CrashDisk(host, isOnBtrfs ? .btrfs : .ext4) : nil
        // Makes the store.
        let made = try host.apus("--storage-driver", crash.driver, "images")
        if made.exit != 0 {
            print("skipped: no driver \(crash.driver): \(made.errorText)")
            return nil
        }
        environment = host.environment + ["SOURCE_DATE_EPOCH=0"]
        census = Kernel.census()
        plan = try CrashPlan(crash, on: host)
        // What takes long to remove is removed in the background.
        try host.ok("system", "sweep")
        try Self.awaitOthers(host)
        before = try CrashInventory(host, plan, since: census)
        try Self.awaitOthers(host)
        try Self.keep(host, disk)
        let report = host.path("calls")
        try ProgramRun.run(
            [Self.tracer, "--report", report] + Self.line(plan), environment: environment
        ).requireSuccess()
        calls = Int(try File.readText(report).trimmed) ?? 0
        try host.ok("system", "sweep")
        try Self.awaitOthers(host)
        after = try CrashInventory(host, plan, since: census)
        let faults = before.faults + after.faults
        guard faults.isEmpty else { throw Unexpected("\(crash): \(faults.joined(separator: "\n  "))") }
        guard calls > 0, plan.undo != nil || !before.is(after) else {
            throw Unexpected("\(plan.commands) changes nothing")
        }
    }

    private static func line(_ plan: CrashPlan) -> [String] {
        if plan.commands.count == 1 { return plan.commands[0] }
        // None of the words has anything in it that the shell would read.
        return ["/bin/sh", "-c", plan.commands.map { $0.joined(separator: " ") }.joined(separator: " && ")]
    }

    /// Which calls to crash at: all, or so many, spread over the command.
    func sample(_ points: Int?) -> [Int] {
        guard let points, points < calls else { return Array(1...calls) }
        return (0..<points).map { 1 + ($0 * 2 + 1) * calls / (points * 2) }
    }

    /// What is removed in the background.
    private static func awaitOthers(_ host: Host) throws {
        try host.eventually("the end of all processes") {
            // One that is just being started has no arguments for a moment.
            guard Kernel.processes(mentioning: host.root).isEmpty else { return false }
            usleep(20_000)
            return Kernel.processes(mentioning: host.root).isEmpty
        }
    }

    private static func keep(_ host: Host, _ disk: CrashDisk?) throws {
        if let disk {
            try disk.keep()
        } else {
            try ProgramRun.tool("cp", "-a", host.root, host.path("root.kept"))
        }
    }

    func restore() throws {
        try Self.awaitOthers(host)
        try forgetBoot()
        if let disk {
            try disk.restore()
        } else {
            try File.removeTree(host.root)
            try ProgramRun.tool("cp", "-a", host.path("root.kept"), host.root)
        }
        if crash.operation == .imageUnmount { try host.ok("image", "mount", "--all") }
    }

    /// What ends with a boot.
    func forgetBoot() throws {
        for mount in Kernel.mounts().reversed() where mount.hasPrefix(host.scratch) && mount != host.root {
            try host.eventually("unmount \(mount)") { umount2(mount, 0) == 0 || Errno.current != .busy }
        }
        for group in Kernel.census().cgroups.subtracting(census.cgroups) { rmdir("/sys/fs/cgroup/\(group)") }
        try? File.removeTree(host.runRoot)
    }

    func losePower() throws {
        try Self.awaitOthers(host)
        try forgetBoot()
        try disk?.losePower()
    }

    /// - Returns: false when the command made fewer calls this time.
    func crash(at call: Int, syncAt: Int? = nil) throws -> Bool {
        let sync = syncAt.map { ["--sync-at", "\($0)"] } ?? []
        let finished = try ProgramRun.run(
            [Self.tracer, "--kill-at", "\(call)"] + sync + Self.line(plan), environment: environment)
        return finished.exit == 137
    }

    /// - Parameter alone: what it left to others is not done: they are killed when it has ended.
    func complete(alone: Bool = false) throws {
        if alone, plan.settling == nil {
            return try ProgramRun.run(
                [Self.tracer, "--kill-rest"] + Self.line(plan), environment: environment
            ).requireSuccess()
        }
        for command in plan.commands {
            try ProgramRun.run(command, environment: environment).requireSuccess()
        }
        if let settling = plan.settling { try host.ok(list: settling) }
    }

    /// Uses the store as the next process would.
    /// - Parameter hasEnded: it said that it did its work.
    /// - Returns: whether the command had done its work.
    @discardableResult
    func verify(_ moment: String, hasEnded: Bool = false) throws -> Bool {
        try host.ok("ps", "-a")
        try host.ok("images", "-a")
        let found = try look(moment)
        let isDone = found.has(after)
        if !isDone, hasEnded || !found.has(before) && plan.undo == nil && !plan.hasSteps {
            throw Unexpected(
                "\(moment) left\n  \(found.lines)\nneither as before\n  \(before.lines)\n"
                    + "nor as after\n  \(after.lines)")
        }
        if let undo = plan.undo {
            do { try host.ok(list: undo) } catch {
                throw Unexpected("\(moment), then: \(error)")
            }
            try expect(before, moment + ", then undone")
        } else if isDone {
            return true
        }
        do { try complete() } catch { throw Unexpected("\(moment), then: \(error)") }
        try expect(after, moment + ", then done again")
        return isDone
    }

    private func look(_ moment: String) throws -> CrashInventory {
        try host.ok("system", "sweep")
        try Self.awaitOthers(host)
        let found = try CrashInventory(host, plan, since: census)
        guard found.faults.isEmpty else {
            throw Unexpected("\(moment) left\n  \(found.faults.joined(separator: "\n  "))")
        }
        return found
    }

    private func expect(_ state: CrashInventory, _ moment: String) throws {
        let found = try look(moment)
        guard found.is(state) else {
            throw Unexpected("\(moment):\n  \(found.lines)\nnot\n  \(state.lines)")
        }
    }
}
