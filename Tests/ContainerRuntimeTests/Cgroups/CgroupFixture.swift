import LinuxSystem
import OCISpec
import Testing

@testable import ContainerRuntime

/// Runs a test on a thread of its own, whose mount namespace it may change.
func onThread(unsharingMounts: Bool = false, _ body: @escaping @Sendable () throws -> Void) throws {
    final class Work: @unchecked Sendable {
        let body: () throws -> Void
        var failure: (any Error)?
        init(_ body: @escaping () throws -> Void) { self.body = body }
    }
    let work = Work {
        if unsharingMounts {
            try #require(unshare(CLONE_NEWNS) == 0)
            try #require(mount("none", "/", nil, UInt(MS_REC | MS_PRIVATE), nil) == 0)
        }
        try body()
    }
    var thread = pthread_t()
    let context = Unmanaged.passRetained(work)
    let result = pthread_create(
        &thread, nil,
        { context in
            let work = Unmanaged<Work>.fromOpaque(context!).takeRetainedValue()
            do { try work.body() } catch { work.failure = error }
            return nil
        }, context.toOpaque())
    try #require(result == 0)
    pthread_join(thread, nil)
    if let failure = work.failure { throw failure }
}

/// The views that this machine can give of its hierarchies.
enum CgroupView: String, CaseIterable, Sendable {
    /// As the machine has it.
    case native
    /// Without the v2 hierarchy beside v1.
    case legacy
    /// Only v2.
    case unified

    /// Runs a test in the view; it is skipped where the machine has no such thing.
    func run(_ body: @escaping @Sendable () throws -> Void) throws {
        if self == .native { return try onThread(body) }
        let isUnified = self == .unified
        let native = try CgroupLayout.current()
        if native.kind == .unified {
            if isUnified { return try onThread(body) }
            print("skipped: this machine has no cgroup v1")
            return
        }
        try onThread(unsharingMounts: true) {
            if isUnified {
                try #require(umount2("/sys/fs/cgroup", Int32(MNT_DETACH)) == 0)
                try #require(mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, nil) == 0)
            } else if let v2 = native.mounts.first(where: { $0.version == .v2 }) {
                try #require(umount2(v2.point, Int32(MNT_DETACH)) == 0)
            }
            try body()
        }
    }
}

/// A name of its own for each group, and its removal at the end.
final class CgroupFixture {
    let path: String
    private var groups: [Cgroup] = []
    private var children: [Int32] = []

    init(_ name: String = #function) {
        let plain = name.prefix { $0.isLetter }
        path = "/apus-test-\(getpid())-\(gettid())-\(plain)"
    }

    func create(_ suffix: String = "", _ change: (inout LinuxResources) -> Void = { _ in }) throws -> Cgroup {
        var resources = LinuxResources()
        change(&resources)
        let cgroup = try Cgroup.create(path: path + suffix, resources: resources)
        groups.append(cgroup)
        return cgroup
    }

    /// Starts a process that enters the group first and then runs `body`.
    func start(in cgroup: Cgroup, _ body: () -> Int32) throws -> Int32 {
        let entrance = try cgroup.openEntrance()
        let child = forked()
        if child == 0 {
            // Nothing outlives the tests for long.
            alarm(30)
            _ = linux_syscall(Int(SYS_prctl), Int(PR_SET_PDEATHSIG), Int(SIGKILL), 0, 0, 0, 0)
            let errno = entrance.enter(alreadyInUnified: false)
            _exit(errno == 0 ? body() : 100 + errno)
        }
        try #require(child > 0)
        children.append(child)
        return child
    }

    func wait(_ child: Int32) -> Int32 {
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, Errno.current == .interrupted {}
        children.removeAll { $0 == child }
        return status
    }

    deinit {
        for child in children {
            kill(child, SIGKILL)
            _ = wait(child)
        }
        for group in groups.reversed() {
            do { try group.delete() } catch { Issue.record("\(error)") }
        }
        for group in groups {
            for path in group.paths.values where File.exists(path) { Issue.record("\(path) was left") }
        }
    }
}

/// The C library's pause for tests: until the condition holds, or ten seconds.
func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
    for _ in 0..<10_000 {
        if try condition() { return true }
        usleep(1000)
    }
    return try condition()
}
