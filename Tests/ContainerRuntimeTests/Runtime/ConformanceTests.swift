import JSONText
import LinuxSystem
import OCISpec
import Testing

@testable import ContainerRuntime

/// What the specification says of values, where the kernel would not say it.
@Suite struct ConfigValueTests {
    private func complaint(_ change: (inout RuntimeConfig) -> Void) throws -> String? {
        let fixture = try RuntimeFixture()
        change(&fixture.config)
        try fixture.save()
        do throws(RuntimeError) {
            _ = try Bundle(fixture.directory)
            return nil
        } catch {
            return error.description
        }
    }

    private func complaintOfProcess(_ change: (inout JSONObject) -> Void) throws -> String? {
        var object: JSONObject = ["args": ["/bin/true"], "cwd": "/"]
        change(&object)
        let spec = try ProcessSpec(json: .object(object))
        do throws(RuntimeError) {
            try ProcessPlan.check(spec)
            return nil
        } catch {
            return error.description
        }
    }

    @Test(
        arguments: [
            (["policy": "SCHED_BATCH", "nice": 19], nil), (["policy": "SCHED_BATCH", "nice": 20], "nice"),
            (["policy": "SCHED_OTHER", "nice": -21], "nice"), (["policy": ""], "policy"),
            (["policy": "SCHED_OTHER", "priority": 5], "priority"),
            (["policy": "SCHED_RR", "priority": 5], nil),
            (["policy": "SCHED_RR", "priority": 5, "runtime": 1], "runtime"),
            (["policy": "SCHED_DEADLINE", "runtime": 1, "deadline": 2, "period": 2], nil),
        ] as [(JSON, String?)])
    func schedulers(_ scheduler: JSON, _ word: String?) throws {
        let said = try complaintOfProcess { $0["scheduler"] = scheduler }
        if let word { #expect(said?.contains(word) == true, "\(said ?? "")") } else { #expect(said == nil) }
    }

    @Test func ioPriorities() throws {
        for level in [0, 7] as [JSON] {
            #expect(
                try complaintOfProcess { $0["ioPriority"] = ["class": "IOPRIO_CLASS_BE", "priority": level] }
                    == nil)
        }
        for level in [-1, 8] as [JSON] {
            let said = try complaintOfProcess {
                $0["ioPriority"] = ["class": "IOPRIO_CLASS_BE", "priority": level]
            }
            #expect(said?.contains("invalid ioPriority.priority") == true)
        }
        #expect(
            try complaintOfProcess { $0["ioPriority"] = ["class": "X", "priority": 1] }?.contains("\"X\"")
                == true)
    }

    @Test(.enabled(if: !SecurityModule.hasSELinux && !SecurityModule.hasAppArmor, "the machine has labels"))
    func labelsWithoutTheirModule() throws {
        #expect(
            try complaintOfProcess { $0["selinuxLabel"] = "a:b:c" }?.contains("SELinux is not enabled")
                == true)
        #expect(
            try complaintOfProcess { $0["apparmorProfile"] = "p" }?.contains("AppArmor is not enabled")
                == true)
        #expect(
            try complaint { config in config.linux?.mountLabel = "a:b:c" }?
                .contains("SELinux is not enabled") == true)
    }

    @Test func sysctlsOfTheHostsNetwork() throws {
        func said(_ path: String?) throws -> String? {
            try complaint { config in
                config.linux?.namespaces.removeAll { $0.type == .network }
                config.linux?.namespaces.append(LinuxNamespace(.network, path: path))
                config.linux?.sysctl = ["net.ipv4.ip_forward": "1"]
            }
        }
        #expect(try said(nil) == nil)
        #expect(try said("/proc/self/ns/net")?.contains("host network namespace") == true)
        #expect(try said("/proc/\(getpid())/ns/net")?.contains("host network namespace") == true)
    }

    @Test func clocksOfANamespaceThatIsJoined() throws {
        let said = try complaint { config in
            config.linux?.namespaces.append(LinuxNamespace(.time, path: "/proc/self/ns/time"))
            config.linux?.timeOffsets = ["monotonic": TimeOffset(secs: 1, nanosecs: 0)]
        }
        #expect(said?.contains("time offsets") == true)
    }

    @Test(arguments: [0, -1]) func hooksWithoutTime(_ seconds: Int) throws {
        let said = try complaint { config in
            config.hooks = Hooks()
            config.hooks?.poststop = [Hook(path: "/bin/true", timeout: seconds)]
        }
        #expect(said?.contains("timeout \(seconds)") == true)
    }

    @Test func whatOnlyAFileSystemUnderstands() {
        let general = [
            "rbind", "ro", "sync", "lazytime", "rnorelatime", "rnostrictatime", "defaults", "rshared",
        ]
        #expect(MountOptions(general).ofFileSystem == [])
        #expect(MountOptions(["bind", "acl", "size=1m", "ro"]).ofFileSystem == ["size=1m", "acl"])
    }

    @Test func eitherSpellingOfAPageSize() throws {
        for name in ["pageSize", "pagesize"] {
            let resources = try LinuxResources(
                json: ["hugepageLimits": [.object([name: "2MB", "limit": 5])]])
            #expect(resources.hugepageLimits == [.init(pageSize: "2MB", limit: 5)])
        }
    }
}

extension RuntimeTests {
    @Suite struct Conformance {
        /// The specification has it logged, and the container run.
        @Test func unknownCapabilitiesAreWarnedOf() throws {
            let fixture = try RuntimeFixture()
            fixture.config.process?.capabilities?.bounding?.append("CAP_FROM_THE_FUTURE")
            fixture.config.process?.args = ["/bin/echo", "here"]
            let outcome = try fixture.run()
            #expect(outcome.code == 0)
            #expect(
                outcome.output.contains("level=warning") && outcome.output.contains("CAP_FROM_THE_FUTURE"))
            #expect(outcome.output.hasSuffix("here\n"))
        }

        @Test(.enabled(if: RuntimeFixture.isOurs))
        func optionsThatABindMountCannotHaveAreWarnedOf() throws {
            let fixture = try RuntimeFixture()
            fixture.config.mounts.append(
                MountSpec(
                    destination: "/mnt", type: "bind", source: fixture.rootfs, options: ["bind", "size=1m"]))
            let outcome = try fixture.run()
            #expect(outcome.code == 0 && outcome.output.contains("size=1m"), "\(outcome)")
            #expect(outcome.output.contains("level=warning"))
        }

        @Test func personalityHasNoFlagsYet() throws {
            let fixture = try RuntimeFixture()
            fixture.config.linux?.personality = try Personality(
                json: ["domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]])
            let outcome = try fixture.run()
            #expect(outcome.code == 0 && outcome.output.contains("ADDR_NO_RANDOMIZE"), "\(outcome)")
        }

        /// With and without a user namespace, which locks what the source's mount has.
        @Test(
            arguments: [
                ("bind", "ro,nosuid,noatime", "ro,nosuid,noatime"),
                ("nodev", "rw,nodev,noatime", "ro,nosuid,nodev,noatime"),
                ("rw", "rw,noatime", nil), ("relatime", "rw,relatime", nil),
            ] as [(String, String, String?)])
        func bindMountsAreReplacedInTheirAttributes(_ option: String, _ plain: String, _ locked: String?)
            throws
        {
            let fixture = try RuntimeFixture()
            let source = fixture.directory + "/source"
            try File.makeDirectory(source)
            #expect(mount("tmpfs", source, "tmpfs", UInt(MS_STRICTATIME), nil) == 0)
            defer { while umount2(source, Int32(MNT_DETACH)) == 0 {} }
            let flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOATIME
            #expect(mount(nil, source, nil, UInt(flags), nil) == 0)
            fixture.config.mounts.append(
                MountSpec(destination: "/mnt", type: "bind", source: source, options: ["bind", option]))
            fixture.shell("grep ' /mnt ' /proc/self/mountinfo | cut -d' ' -f6")
            #expect(try fixture.run().output == plain + "\n")
            fixture.config.linux?.namespaces.append(LinuxNamespace(.user))
            let mapping = [IDMapping(containerID: 0, hostID: 100_000, size: 65_536)]
            fixture.config.linux?.uidMappings = mapping
            fixture.config.linux?.gidMappings = mapping
            let outcome = try fixture.run()
            if let locked {
                #expect(outcome.output == locked + "\n")
            } else {
                #expect(outcome.code == 1 && outcome.output.contains("operation not permitted"), "\(outcome)")
            }
        }

        @Test(.enabled(if: RuntimeFixture.isOurs))
        func aProcessIsNeededByStartOnly() throws {
            let fixture = try RuntimeFixture()
            fixture.config.process = nil
            #expect(try fixture.create().code == 0)
            #expect(fixture.status == "created")
            let start = try fixture.command(["start", fixture.id])
            #expect(start.code == 1 && start.output.contains("no process"), "\(start)")
            #expect(fixture.status == "created")
            #expect(try fixture.command(["kill", fixture.id, "KILL"]).code == 0)
            #expect(fixture.waitFor("stopped"))
            #expect(try fixture.command(["delete", fixture.id]).code == 0)
            let run = try fixture.run()
            #expect(run.code == 1 && run.output.contains("process must be specified"))
        }

        @Test(.enabled(if: !File.exists("/sys/fs/resctrl/info"), "the machine has Intel RDT"))
        func classesOfServiceNeedTheirFileSystem() throws {
            let fixture = try RuntimeFixture()
            fixture.config.linux?.intelRdt = IntelRdt(closID: "x")
            let outcome = try fixture.run()
            #expect(outcome.code == 1 && outcome.output.contains("Intel RDT is not enabled"), "\(outcome)")
            #expect(fixture.status == nil && fixture.cgroupCount == 0)
        }
    }
}
