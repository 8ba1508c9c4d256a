import JSONText
import LinuxSystem
import OCISpec
import Testing

@testable import ContainerRuntime

@Suite(.serialized) struct CgroupTests {
    @Test(arguments: CgroupView.allCases) func life(view: CgroupView) throws {
        try view.run {
            let fixture = CgroupFixture()
            let cgroup = try fixture.create()
            #expect(cgroup.exists)
            switch view {
            case .native: break
            case .legacy: #expect(cgroup.layout == .legacy)
            case .unified: #expect(cgroup.layout == .unified && cgroup.paths.count == 1)
            }
            #expect((cgroup.joinTarget != nil) == (cgroup.layout != .legacy))

            let child = try fixture.start(in: cgroup) {
                sleep(30)
                return 0
            }
            // It enters one hierarchy after the other, the v2 one last.
            #expect(
                try eventually {
                    try cgroup.pids() == [child] && cgroup.directories.allSatisfy { try $0.pids() == [child] }
                })
            // In every hierarchy that this view has.
            let lines = try File.readText("/proc/\(child)/cgroup").split(separator: "\n").map(String.init)
            for key in cgroup.paths.keys {
                let line = lines.first {
                    $0.split(separator: ":", omittingEmptySubsequences: false)[1] == key
                }
                #expect(line?.hasSuffix(":" + fixture.path) == true, "\(key): \(line ?? "none")")
            }

            // What another process finds in the recorded state.
            let loaded = try Cgroup.load(try JSON(parsing: cgroup.json.bytes()))
            #expect(loaded.paths == cgroup.paths && loaded.layout == cgroup.layout)
            #expect(try loaded.pids() == [child])
            #expect(loaded.stats().oomKills == 0)

            #expect(throws: CgroupError.self) { try loaded.delete(patience: 0.01) }
            try loaded.kill()
            #expect(fixture.wait(child) & 0x7F == SIGKILL)
            try loaded.delete()
            #expect(!cgroup.exists)
            // Gone is no error, twice.
            try loaded.delete()
            let gone = try Cgroup.load(cgroup.json)
            #expect(try gone.pids() == [])
            try gone.kill()
            #expect(!gone.oomKilled)
            try gone.delete()
            #expect(throws: CgroupError.self) { try gone.add(pid: child) }
        }
    }

    @Test(arguments: CgroupView.allCases) func addsOtherProcesses(view: CgroupView) throws {
        try view.run {
            let fixture = CgroupFixture()
            let cgroup = try fixture.create()
            let outside = linux_syscall(Int(SYS_clone), Int(SIGCHLD), 0, 0, 0, 0, 0)
            if outside == 0 {
                sleep(30)
                _exit(0)
            }
            defer {
                kill(pid_t(outside), SIGKILL)
                _ = fixture.wait(Int32(outside))
            }
            try cgroup.add(pid: Int32(outside))
            #expect(try cgroup.pids() == [Int32(outside)])
        }
    }

    /// clone3 puts the child into the v2 group at its birth.
    @Test(.birthInCgroups) func clonesIntoTheGroup() throws {
        try CgroupView.unified.run {
            let fixture = CgroupFixture()
            let cgroup = try fixture.create()
            guard let target = cgroup.joinTarget else {
                Issue.record("no v2 group")
                return
            }
            // struct clone_args, up to its field cgroup.
            var arguments = [UInt64](repeating: 0, count: 11)
            arguments[0] = 0x2_0000_0000  // CLONE_INTO_CGROUP
            arguments[4] = UInt64(SIGCHLD)
            arguments[10] = UInt64(target)
            let child = arguments.withUnsafeBufferPointer {
                linux_syscall(Int(SYS_clone3), Int(bitPattern: $0.baseAddress), 88, 0, 0, 0, 0)
            }
            if child == 0 {
                sleep(30)
                _exit(0)
            }
            try #require(child > 0)
            #expect(try cgroup.pids() == [Int32(child)])
            try cgroup.kill()
            #expect(fixture.wait(Int32(child)) & 0x7F == SIGKILL)
        }
    }

    @Test(arguments: CgroupView.allCases) func killsWhatForks(view: CgroupView) throws {
        try view.run {
            let fixture = CgroupFixture()
            let cgroup = try fixture.create()
            // One that is never the same process for long. Its number of steps is
            // bounded, and it leaves at most two processes at a time.
            let child = try fixture.start(in: cgroup) {
                var process = linux_syscall(Int(SYS_clone), Int(SIGCHLD), 0, 0, 0, 0, 0)
                if process != 0 { sleep(30) }
                for _ in 0..<5000 {
                    usleep(200)
                    process = linux_syscall(Int(SYS_clone), Int(SIGCHLD), 0, 0, 0, 0, 0)
                    if process != 0 { return 0 }
                }
                return 0
            }
            #expect(try eventually { try cgroup.pids().count >= 2 })
            try cgroup.kill()
            #expect(fixture.wait(child) & 0x7F == SIGKILL)
            try cgroup.delete()
        }
    }

    @Test(arguments: CgroupView.allCases) func freezes(view: CgroupView) throws {
        try view.run {
            let fixture = CgroupFixture()
            let cgroup = try fixture.create()
            let counter = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)!
            defer { munmap(counter, 4096) }
            let count = counter.assumingMemoryBound(to: Int.self)
            let child = try fixture.start(in: cgroup) {
                while true { count.pointee += 1 }
            }
            #expect(eventually { count.pointee > 0 })
            #expect(try cgroup.freezerState == .thawed)
            try cgroup.freeze()
            #expect(try cgroup.freezerState == .frozen)
            let frozen = count.pointee
            usleep(20_000)
            #expect(count.pointee == frozen)
            try cgroup.thaw()
            #expect(eventually { count.pointee > frozen })
            try cgroup.freeze()
            // Killing works on a frozen group too.
            try cgroup.kill()
            if view != .unified { try cgroup.thaw() }
            #expect(fixture.wait(child) & 0x7F == SIGKILL)
        }
    }

    @Test(arguments: CgroupView.allCases) func deletesGroupsBelow(view: CgroupView) throws {
        try view.run {
            let fixture = CgroupFixture()
            let cgroup = try fixture.create()
            for path in cgroup.paths.values {
                try File.makeDirectory(path + "/a")
                try File.makeDirectory(path + "/a/b")
                try File.makeDirectory(path + "/c")
            }
            // A process deep below is listed, killed and waited for.
            let child = linux_syscall(Int(SYS_clone), Int(SIGCHLD), 0, 0, 0, 0, 0)
            if child == 0 {
                sleep(30)
                _exit(0)
            }
            for (key, path) in cgroup.paths where key != "cpuset" {
                try File.write(String(child), to: path + "/a/b/cgroup.procs")
            }
            #expect(try cgroup.pids(recursive: false) == [])
            #expect(try cgroup.pids() == [Int32(child)])
            try cgroup.kill()
            #expect(fixture.wait(Int32(child)) & 0x7F == SIGKILL)
            try cgroup.delete()
            #expect(!cgroup.exists)
        }
    }

    // MARK: - Paths

    @Test(arguments: [
        ("/a/b", "a/b"), ("a//b/", "a/b"), ("/../../etc", "etc"), ("/a/../../b", "b"), ("./a/.", "a"),
        ("/a/b/../c", "a/c"), ("..", ""), ("/", ""), ("", ""), ("...", "..."),
    ])
    func pathsAreCleaned(text: String, expected: String) throws {
        #expect(try CgroupPath(text).relative == expected)
    }

    @Test func pathsOfTheRootAreRefused() {
        for path in ["/", "/..", "/a/..", "//./", "/x\ny", "/" + String(repeating: "n", count: 256)] {
            #expect(throws: CgroupError.self, "\(path)") { try Cgroup.create(path: path, resources: nil) }
        }
    }

    @Test(arguments: CgroupView.allCases) func dotsDoNotLeadOut(view: CgroupView) throws {
        try view.run {
            let fixture = CgroupFixture()
            let cgroup = try Cgroup.create(path: "/../../.." + fixture.path, resources: nil)
            defer { try? cgroup.delete() }
            for path in cgroup.paths.values {
                #expect(path.hasPrefix("/sys/fs/cgroup/") && path.hasSuffix(fixture.path), "\(path)")
                #expect(File.exists(path + "/cgroup.procs"))
            }
        }
    }

    @Test func relativePathsStartAtOurOwnGroup() throws {
        try CgroupView.native.run {
            let fixture = CgroupFixture()
            let cgroup = try Cgroup.create(path: String(fixture.path.dropFirst()), resources: nil)
            defer { try? cgroup.delete() }
            for mount in try CgroupLayout.current().mounts {
                let own = mount.own == "/" ? "" : mount.own
                let expected = mount.version == .v2 ? nil : mount.point + own + fixture.path
                if let expected { #expect(cgroup.paths[mount.key] == expected) }
            }
        }
    }

    @Test(arguments: CgroupView.allCases) func parentsAreMade(view: CgroupView) throws {
        try view.run {
            let fixture = CgroupFixture()
            let cgroup = try fixture.create("/parent/leaf")
            let child = try fixture.start(in: cgroup) { 7 }
            #expect(fixture.wait(child) == 7 << 8)
            try cgroup.delete()
            for path in cgroup.paths.values {
                let parent = path.dropLast("/leaf".count)
                // Parents stay, as with runc.
                #expect(File.exists(String(parent)))
                try File.removeDirectory(String(parent))
                try File.removeDirectory(String(parent.dropLast("/parent".count)))
            }
        }
    }

    // MARK: - Refusals

    @Test func aGroupInUseIsNotTaken() throws {
        try CgroupView.native.run {
            let fixture = CgroupFixture()
            let cgroup = try fixture.create()
            let child = try fixture.start(in: cgroup) {
                sleep(30)
                return 0
            }
            _ = eventually { (try? cgroup.pids().isEmpty) == false }
            do throws(CgroupError) {
                _ = try Cgroup.create(path: fixture.path, resources: nil)
                Issue.record("a group in use was taken")
            } catch {
                #expect(error.code == .inUse)
            }
            #expect(cgroup.exists)
            kill(child, SIGKILL)
            _ = fixture.wait(child)
            // An empty one that is there already is used.
            _ = try fixture.create()
        }
    }

    @Test(arguments: CgroupView.allCases) func missingControllersAreNamed(view: CgroupView) throws {
        try view.run {
            let fixture = CgroupFixture()
            var resources = LinuxResources()
            if view == .unified {
                // Here all of these are bound to v1 hierarchies.
                guard
                    try CgroupLayout.current().mounts.first.map({
                        try !File.readText($0.point + "/cgroup.controllers").contains("memory")
                    }) == true
                else { return }
                resources.memory = .init()
                resources.memory?.limit = 1 << 26
            } else {
                resources.network = .init()
                resources.network?.classID = 1
            }
            do throws(CgroupError) {
                _ = try Cgroup.create(path: fixture.path, resources: resources)
                Issue.record("a limit without its controller was taken")
            } catch {
                #expect(error.code == .controllerMissing)
                #expect(error.description.contains(view == .unified ? "memory" : "net_cls"), "\(error)")
            }
            for mount in try CgroupLayout.current().mounts {
                #expect(!File.exists(mount.point + fixture.path))
            }
        }
    }

    @Test func malformedRecordsAreRefused() {
        let bad: [JSON] = [
            .null, [:], ["layout": "legacy"], ["layout": "x", "paths": [:]],
            ["layout": "legacy", "paths": ["memory": 3]], ["layout": "legacy", "paths": ["memory": "a/b"]],
            ["layout": "legacy", "paths": ["memory": "/sys/fs/cgroup/memory/../../../etc"]],
        ]
        for json in bad { #expect(throws: CgroupError.self) { try Cgroup.load(json) } }
    }
}
