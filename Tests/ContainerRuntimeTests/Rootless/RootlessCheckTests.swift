import JSONText
import LinuxSystem
import OCISpec
import Testing

@testable import ContainerRuntime

@Suite struct RootlessCheckTests {
    private static let user = Rootless(isUser: true)
    private static let namespaceRoot = Rootless(isUser: false, doesWithoutCgroups: true)
    private static let root = Rootless(isUser: false, doesWithoutCgroups: false)

    private func config(_ change: (inout RuntimeConfig, inout LinuxSpec) -> Void = { _, _ in })
        -> RuntimeConfig
    {
        var config = RuntimeConfig(ociVersion: "1.2.0")
        config.process = ProcessSpec(args: ["true"], env: [], cwd: "/")
        var linux = LinuxSpec()
        linux.namespaces = [LinuxNamespace(.mount), LinuxNamespace(.user)]
        linux.uidMappings = [IDMapping(containerID: 0, hostID: 1000, size: 1)]
        linux.gidMappings = [IDMapping(containerID: 0, hostID: 1000, size: 1)]
        change(&config, &linux)
        config.linux = linux
        return config
    }

    private func complaint(_ config: RuntimeConfig, _ rootless: Rootless = user) -> String? {
        do throws(RuntimeError) {
            try rootless.check(config)
            return nil
        } catch {
            return error.message
        }
    }

    @Test func initialMapIsTheHosts() {
        #expect(Rootless.isInitial(map: "         0          0 4294967295\n"))
        #expect(!Rootless.isInitial(map: "         0       1000          1\n"))
        #expect(!Rootless.isInitial(map: "0 0 4294967294\n"))
        #expect(!Rootless.isInitial(map: ""))
    }

    @Test func whoRunsItDecidesAboutGroups() {
        #expect(Rootless(isUser: true).doesWithoutCgroups)
        #expect(!Rootless(isUser: true, doesWithoutCgroups: false).doesWithoutCgroups)
        #expect(Rootless(isUser: false).doesWithoutCgroups == Rootless.isInUserNamespace)
    }

    @Test func goodConfigurationPasses() {
        #expect(complaint(config()) == nil)
    }

    @Test func userNeedsANamespace() {
        let without = config { $1.namespaces = [LinuxNamespace(.mount)] }
        #expect(complaint(without) == "rootless container requires user namespaces")
        #expect(complaint(without, Self.namespaceRoot) == nil)
        #expect(complaint(without, Self.root) == nil)
    }

    @Test(arguments: ["gid=5", "uid=1"])
    func mountOptionsNameMappedIDs(_ option: String) {
        let mounted = config { config, _ in
            config.mounts = [
                MountSpec(destination: "/t", type: "tmpfs", source: "t", options: ["mode=1777", option])
            ]
        }
        #expect(
            complaint(mounted)?.hasPrefix("cannot specify \(option) mount option for rootless container")
                ?? false)
        #expect(complaint(mounted, Self.root) == nil)
        let mapped = config { config, linux in
            config.mounts = [MountSpec(destination: "/t", type: "tmpfs", source: "t", options: [option])]
            linux.uidMappings.append(IDMapping(containerID: 1, hostID: 100_000, size: 10))
            linux.gidMappings.append(IDMapping(containerID: 1, hostID: 100_000, size: 10))
        }
        #expect(complaint(mapped) == nil)
    }

    @Test func joinedNamespaceIsNotJudged() {
        let joined = config { config, linux in
            linux.namespaces[1].path = "/proc/1/ns/user"
            linux.uidMappings = []
            linux.gidMappings = []
            config.mounts = [MountSpec(destination: "/t", type: "tmpfs", source: "t", options: ["gid=5"])]
        }
        #expect(complaint(joined) == nil)
    }

    @Test func mappedMountsAndGroupsAreRefused() {
        let mapped = config { config, _ in
            config.mounts = [
                MountSpec(destination: "/t", type: "bind", source: "/t", options: ["bind", "idmap"])
            ]
        }
        #expect(complaint(mapped)?.contains("id-mapped mounts are not supported") ?? false)
        let groups = config { config, _ in config.process?.user.additionalGids = [7] }
        #expect(complaint(groups) == "cannot set any additional groups in a rootless container")
        #expect(complaint(groups, Self.namespaceRoot) == nil)
    }

    @Test func processUserIsMapped() throws {
        let linux = try #require(config().linux)
        func complaint(_ uid: UInt32, _ gid: UInt32, _ linux: LinuxSpec) -> String? {
            var user = User()
            (user.uid, user.gid) = (uid, gid)
            do throws(RuntimeError) {
                try user.check(in: linux)
                return nil
            } catch {
                return error.message
            }
        }
        #expect(complaint(0, 0, linux) == nil)
        #expect(complaint(1, 0, linux) == "cannot setuid to unmapped uid 1 in user namespace")
        #expect(complaint(0, 1, linux) == "cannot setgid to unmapped gid 1 in user namespace")
        var host = linux
        host.namespaces = []
        #expect(complaint(7, 7, host) == nil)
    }

    @Test func rangesKnowTheirEnds() {
        let ranges = [
            IDMapping(containerID: 0, hostID: 1000, size: 1), IDMapping(containerID: 10, hostID: 5, size: 5),
            IDMapping(containerID: .max, hostID: 9, size: 1),
        ]
        for id: UInt32 in [0, 10, 14, .max] { #expect(ranges.maps(id)) }
        for id: UInt32 in [1, 9, 15, .max - 1] { #expect(!ranges.maps(id)) }
        #expect(![IDMapping]().maps(0))
        #expect([ranges[0]].isOnly(1000))
        #expect(![ranges[0]].isOnly(0))
        #expect(!ranges.isOnly(1000))
        #expect(![ranges[1]].isOnly(5))
    }
}

@Suite struct CgroupRefusalTests {
    private let memory = CgroupMount(
        version: .v1, controllers: ["memory"], point: "/sys/fs/cgroup/memory", own: "/")
    private let named = CgroupMount(
        version: .v1, controllers: ["name=systemd"], point: "/sys/fs/cgroup/systemd", own: "/")
    private let unified = CgroupMount(
        version: .v2, controllers: [], point: "/sys/fs/cgroup/unified", own: "/")

    private func refusal(_ errno: Int32) -> CgroupError { CgroupError(.system, "create", Errno(errno)) }

    @Test func rootIsRefusedNothing() {
        for mount in [memory, named, unified] {
            #expect(!CgroupRefusals.areErrors.allow(refusal(EACCES), of: mount, in: .hybrid))
        }
    }

    @Test func onlyRefusalsAreTolerated() {
        let tolerated = CgroupRefusals.tolerated
        for errno in [EACCES, EPERM, EROFS] {
            #expect(tolerated.allow(refusal(errno), of: memory, in: .legacy))
            #expect(!CgroupRefusals.ofNamedHierarchies.allow(refusal(errno), of: memory, in: .legacy))
        }
        #expect(!tolerated.allow(refusal(ENOSPC), of: memory, in: .legacy))
        #expect(!tolerated.allow(CgroupError(.inUse, "not empty"), of: memory, in: .legacy))
    }

    @Test func hierarchiesThatLimitNothingMayRefuse() {
        for policy in [CgroupRefusals.ofNamedHierarchies, .tolerated] {
            #expect(policy.allow(refusal(EACCES), of: named, in: .hybrid))
            #expect(policy.allow(refusal(ENOSPC), of: unified, in: .hybrid))
        }
        #expect(!CgroupRefusals.ofNamedHierarchies.allow(refusal(EACCES), of: unified, in: .unified))
        #expect(CgroupRefusals.tolerated.allow(refusal(ENOENT), of: unified, in: .unified))
    }
}
