import LinuxSystem
import OCISpec
import Testing

@testable import ContainerRuntime

/// Limits as the kernel keeps them.
@Suite(.serialized) struct CgroupLimitTests {
    private func text(_ cgroup: Cgroup, _ controller: String, _ file: String) throws -> String {
        let directory = try #require(cgroup.legacy(controller) ?? cgroup.unified)
        return String(try directory.read(file).prefix { $0 != "\n" })
    }

    private func hasV1(_ controller: String) throws -> Bool {
        let has = try CgroupLayout.current().mounts.contains { $0.controllers.contains(controller) }
        if !has { print("skipped: no v1 controller \(controller) here") }
        return has
    }

    private func hasV2(_ controller: String) throws -> Bool {
        let layout = try CgroupLayout.current()
        let has =
            try layout.kind == .unified
            && File.readText(layout.mounts[0].point + "/cgroup.controllers").split(
                whereSeparator: \.isWhitespace
            )
            .contains { $0 == controller }
        if !has { print("skipped: no v2 controller \(controller) here") }
        return has
    }

    @Test func legacyFiles() throws {
        guard try hasV1("memory"), try hasV1("cpu"), try hasV1("pids"), try hasV1("cpuset") else { return }
        try CgroupView.native.run {
            let fixture = CgroupFixture()
            let cgroup = try fixture.create { resources in
                resources.memory = .init()
                resources.memory?.limit = 64 << 20
                resources.memory?.swap = 128 << 20
                resources.memory?.reservation = 32 << 20
                resources.memory?.swappiness = 10
                resources.cpu = .init()
                resources.cpu?.shares = 512
                resources.cpu?.quota = 50_000
                resources.cpu?.period = 100_000
                resources.cpu?.burst = 10_000
                resources.cpu?.cpus = "0"
                resources.pids = .init(limit: 10)
            }
            #expect(try text(cgroup, "memory", "memory.limit_in_bytes") == "67108864")
            #expect(try text(cgroup, "memory", "memory.memsw.limit_in_bytes") == "134217728")
            #expect(try text(cgroup, "memory", "memory.soft_limit_in_bytes") == "33554432")
            #expect(try text(cgroup, "memory", "memory.swappiness") == "10")
            #expect(try text(cgroup, "cpu", "cpu.shares") == "512")
            #expect(try text(cgroup, "cpu", "cpu.cfs_quota_us") == "50000")
            #expect(try text(cgroup, "cpu", "cpu.cfs_burst_us") == "10000")
            #expect(try text(cgroup, "cpuset", "cpuset.cpus") == "0")
            #expect(try !text(cgroup, "cpuset", "cpuset.mems").isEmpty)
            #expect(try text(cgroup, "pids", "pids.max") == "10")

            // Updates in both directions, memory and swap in the order that works.
            for (limit, swap) in [(256, 512), (32, 48), (48, 64), (-1, 0), (16, 16)] as [(Int64, Int64)] {
                var resources = LinuxResources()
                resources.memory = .init()
                resources.memory?.limit = limit < 0 ? -1 : limit << 20
                resources.memory?.swap = swap << 20
                try cgroup.apply(resources)
                let kept = try #require(Int64(try text(cgroup, "memory", "memory.limit_in_bytes")))
                #expect(limit < 0 ? kept > 1 << 50 : kept == limit << 20)
            }
            var resources = LinuxResources()
            resources.cpu = .init()
            resources.cpu?.quota = -1
            resources.cpu?.idle = 1
            resources.pids = .init(limit: -1)
            try cgroup.apply(resources)
            #expect(try text(cgroup, "cpu", "cpu.cfs_quota_us") == "-1")
            #expect(try text(cgroup, "cpu", "cpu.idle") == "1")
            #expect(try text(cgroup, "pids", "pids.max") == "max")
            #expect(cgroup.stats().memoryLimit == 16 << 20)
            #expect(cgroup.stats().pidsLimit == nil)
        }
    }

    @Test func unifiedLimits() throws {
        guard try hasV2("memory"), try hasV2("cpu"), try hasV2("pids"), try hasV2("cpuset") else { return }
        try CgroupView.native.run {
            let fixture = CgroupFixture()
            let cgroup = try fixture.create("/below") { resources in
                resources.memory = .init()
                resources.memory?.limit = 64 << 20
                resources.memory?.swap = 128 << 20
                resources.memory?.reservation = 32 << 20
                resources.cpu = .init()
                resources.cpu?.shares = 512
                resources.cpu?.quota = 50_000
                resources.cpu?.period = 100_000
                resources.cpu?.burst = 10_000
                resources.cpu?.cpus = "0"
                resources.pids = .init(limit: 10)
            }
            #expect(try text(cgroup, "", "memory.max") == "67108864")
            #expect(try text(cgroup, "", "memory.swap.max") == "67108864")
            #expect(try text(cgroup, "", "memory.low") == "33554432")
            #expect(try text(cgroup, "", "cpu.weight") == "59")
            #expect(try text(cgroup, "", "cpu.max") == "50000 100000")
            #expect(try text(cgroup, "", "cpu.max.burst") == "10000")
            #expect(try text(cgroup, "", "cpuset.cpus") == "0")
            #expect(try text(cgroup, "", "pids.max") == "10")

            var resources = LinuxResources()
            resources.memory = .init()
            resources.memory?.limit = 16 << 20
            resources.memory?.swap = 16 << 20
            resources.cpu = .init()
            resources.cpu?.quota = 20_000
            resources.pids = .init(limit: -1)
            try cgroup.apply(resources)
            #expect(try text(cgroup, "", "memory.swap.max") == "0")
            #expect(try text(cgroup, "", "cpu.max") == "20000 100000")
            #expect(cgroup.stats().memoryLimit == 16 << 20)
            #expect(cgroup.stats().pidsLimit == nil)
            resources = LinuxResources()
            resources.memory = .init()
            resources.memory?.limit = -1
            resources.cpu = .init()
            resources.cpu?.quota = -1
            resources.cpu?.idle = 1
            try cgroup.apply(resources)
            #expect(try text(cgroup, "", "memory.max") == "max")
            #expect(try text(cgroup, "", "memory.swap.max") == "max")
            #expect(try text(cgroup, "", "cpu.max") == "max 100000")
            #expect(try text(cgroup, "", "cpu.idle") == "1")
            try cgroup.delete()
            for path in cgroup.paths.values {
                try File.removeDirectory(String(path.dropLast("/below".count)))
            }
        }
    }

    @Test func badValuesSayWhichFile() throws {
        guard try hasV1("cpuset") || hasV2("cpuset") else { return }
        try CgroupView.native.run {
            let fixture = CgroupFixture()
            do throws(CgroupError) {
                var resources = LinuxResources()
                resources.cpu = .init()
                resources.cpu?.cpus = "4095"
                _ = try Cgroup.create(path: fixture.path, resources: resources)
                Issue.record("processor 4095 was accepted")
            } catch {
                #expect(error.description.contains("cpuset.cpus"), "\(error)")
                #expect(error.description.contains("4095"), "\(error)")
            }
            for mount in try CgroupLayout.current().mounts {
                #expect(!File.exists(mount.point + fixture.path))
            }
        }
    }

    @Test func memoryLimitKills() throws {
        guard try hasV1("memory") || hasV2("memory") else { return }
        try CgroupView.native.run {
            let fixture = CgroupFixture()
            let cgroup = try fixture.create { resources in
                resources.memory = .init()
                resources.memory?.limit = 8 << 20
                resources.memory?.swap = 8 << 20
            }
            #expect(!cgroup.oomKilled)
            let child = try fixture.start(in: cgroup) {
                let size = 64 << 20
                let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
                for offset in stride(from: 0, to: size, by: 4096) {
                    memory.storeBytes(of: 1, toByteOffset: offset, as: UInt8.self)
                }
                return 0
            }
            #expect(fixture.wait(child) & 0x7F == SIGKILL)
            #expect(cgroup.oomKilled)
            #expect(cgroup.stats().oomKills == 1)
            #expect(try #require(cgroup.stats().memoryPeak) <= 8 << 20)
        }
    }

    @Test func pidsLimitHolds() throws {
        guard try hasV1("pids") || hasV2("pids") else { return }
        try CgroupView.native.run {
            let fixture = CgroupFixture()
            let cgroup = try fixture.create { $0.pids = .init(limit: 3) }
            let child = try fixture.start(in: cgroup) {
                var started: Int32 = 0
                while started < 10 {
                    let child = linux_syscall(Int(SYS_clone), Int(SIGCHLD), 0, 0, 0, 0, 0)
                    if child == 0 {
                        sleep(30)
                        _exit(0)
                    }
                    if child < 0 { break }
                    started += 1
                }
                return started
            }
            #expect(fixture.wait(child) == 2 << 8)
            try cgroup.kill()
        }
    }

    @Test func cpuQuotaHolds() throws {
        guard try hasV1("cpu") || hasV2("cpu") else { return }
        try CgroupView.native.run {
            let fixture = CgroupFixture()
            let cgroup = try fixture.create { resources in
                resources.cpu = .init()
                resources.cpu?.quota = 10_000
                resources.cpu?.period = 100_000
            }
            let child = try fixture.start(in: cgroup) {
                while true {}
            }
            #expect(eventually { (cgroup.stats().throttledPeriods ?? 0) > 5 })
            kill(child, SIGKILL)
            _ = fixture.wait(child)
            let stats = cgroup.stats()
            // A tenth of a processor, and some for the tick at which the kernel looks.
            let directory = try #require(cgroup.legacy("cpu") ?? cgroup.unified)
            let periods = Double(try #require(try directory.number("nr_periods", in: "cpu.stat")))
            #expect(Double(try #require(stats.cpuUsage)) < (periods + 2) * 20_000_000)
            #expect(try #require(stats.cpuUsage) > 10_000_000)
        }
    }

    /// hugetlb is what this machine's v2 hierarchy has.
    @Test(arguments: [CgroupView.native, .unified]) func hugePages(view: CgroupView) throws {
        try view.run {
            guard
                try CgroupLayout.current().mounts.contains(where: { mount in
                    try mount.version == .v2
                        && File.readText(mount.point + "/cgroup.controllers").contains("hugetlb")
                })
            else {
                print("skipped: no v2 controller hugetlb here")
                return
            }
            let fixture = CgroupFixture()
            let cgroup = try fixture.create { $0.hugepageLimits = [.init(pageSize: "2MB", limit: 4 << 20)] }
            #expect(try text(cgroup, "", "hugetlb.2MB.max") == "4194304")
            #expect(try text(cgroup, "", "hugetlb.2MB.rsvd.max") == "4194304")
            for size in ["3MB", "../2MB", ""] {
                var resources = LinuxResources()
                resources.hugepageLimits = [.init(pageSize: size, limit: 0)]
                #expect(throws: CgroupError.self) { try cgroup.apply(resources) }
            }
        }
    }

    @Test func unifiedFiles() throws {
        try CgroupView.unified.run {
            let fixture = CgroupFixture()
            let cgroup = try fixture.create {
                $0.unified = ["cgroup.max.depth": "3", "cgroup.max.descendants": "9"]
            }
            #expect(try text(cgroup, "", "cgroup.max.depth") == "3")
            for file in ["no.such", "../cgroup.procs", "cgroup.procs", "", "..", "a/b"] {
                var resources = LinuxResources()
                resources.unified = [file: "1"]
                #expect(throws: CgroupError.self, "\(file)") { try cgroup.apply(resources) }
            }
        }
        try CgroupView.legacy.run {
            var resources = LinuxResources()
            resources.unified = ["memory.max": "1"]
            #expect(throws: CgroupError.self) {
                try Cgroup.create(path: "/apus-test-unified", resources: resources)
            }
        }
    }

    // MARK: - Conversions

    @Test(
        arguments: [
            (0, 1), (1, 1), (2, 1), (1024, 100), (262_144, 10_000), (1_000_000, 10_000), (512, 59),
            (2048, 174),
        ] as [(UInt64, UInt64)])
    func weights(shares: UInt64, weight: UInt64) {
        #expect(CPUController.weight(shares: shares) == weight)
    }

    @Test func weightsRise() {
        var last: UInt64 = 0
        for shares in UInt64(2)...262_144 {
            let weight = CPUController.weight(shares: shares)
            #expect(weight >= last)
            last = weight
        }
    }

    @Test func swapOfBothVersions() throws {
        #expect(try MemoryController.unifiedSwap(limit: 100, swap: 300) == 200)
        #expect(try MemoryController.unifiedSwap(limit: 100, swap: 100) == 0)
        #expect(try MemoryController.unifiedSwap(limit: 100, swap: -1) == -1)
        #expect(try MemoryController.unifiedSwap(limit: 100, swap: nil) == nil)
        #expect(try MemoryController.unifiedSwap(limit: -1, swap: nil) == -1)
        #expect(throws: CgroupError.self) { try MemoryController.unifiedSwap(limit: 100, swap: 99) }
        #expect(throws: CgroupError.self) { try MemoryController.unifiedSwap(limit: nil, swap: 99) }
        #expect(throws: CgroupError.self) { try MemoryController.unifiedSwap(limit: -1, swap: 99) }
        #expect(BlockIOController.unified(weight: 10) == 1)
        #expect(BlockIOController.unified(weight: 1000) == 10_000)
        #expect(BlockIOController.unified(weight: 500) == 4950)
    }
}
