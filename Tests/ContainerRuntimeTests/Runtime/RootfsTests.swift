import LinuxSystem
import OCISpec
import Testing

extension RuntimeTests {
    @Suite struct FileSystems {
        @Test func theRootIsReadOnlyAndTheHostIsGone() throws {
            let fixture = try RuntimeFixture()
            fixture.shell("touch /x; ls /; wc -l < /proc/self/mountinfo")
            let output = try fixture.run().output
            #expect(output.contains("Read-only file system"))
            #expect(!output.contains("lib64"))
            // What the config mounts, its masks and read-only paths, and nothing of the host's.
            let count = Int(output.lines.last ?? "") ?? 0
            #expect((9...13).contains(count), "\(output)")
        }

        @Test func maskedAndReadOnlyPaths() throws {
            let fixture = try RuntimeFixture()
            fixture.shell(
                "wc -c < /proc/timer_list; ls /sys/firmware | wc -l; touch /sys/firmware/x; echo 1 > /proc/sys/vm/swappiness; cat /proc/sys/kernel/ostype"
            )
            let output = try fixture.run().output
            #expect(output.lines.contains("0"))
            #expect(output.contains("touch: /sys/firmware/x: Read-only file system"))
            #expect(output.contains("can't create /proc/sys/vm/swappiness: Read-only file system"))
            #expect(output.hasSuffix("Linux\n"))
        }

        @Test func bindMountsAndTheirOptions() throws {
            let fixture = try RuntimeFixture()
            try File.makeDirectories(fixture.directory + "/source/sub")
            try fixture.write("source/file", "content\n")
            fixture.config.root?.readonly = false
            fixture.config.mounts += [
                MountSpec(
                    destination: "/mnt/rw", type: "bind", source: fixture.directory + "/source",
                    options: ["rbind"]),
                MountSpec(
                    destination: "/mnt/ro", type: "bind", source: fixture.directory + "/source",
                    options: ["bind", "ro", "nosuid", "noexec"]),
                MountSpec(destination: "/etc/one", source: "source/file", options: ["bind", "ro"]),
            ]
            fixture.shell(
                "cat /etc/one; touch /mnt/rw/made; touch /mnt/ro/x; echo x > /etc/one; grep ' /mnt/ro ' /proc/self/mountinfo | cut -d' ' -f6"
            )
            let output = try fixture.run().output
            #expect(output.hasPrefix("content\n"))
            #expect(output.contains("touch: /mnt/ro/x: Read-only file system"))
            #expect(output.contains("can't create /etc/one: Read-only file system"))
            #expect(output.contains("ro,nosuid,noexec"))
            #expect(File.exists(fixture.directory + "/source/made"))
        }

        @Test func tmpcopyupFillsAMount() throws {
            let fixture = try RuntimeFixture()
            try File.makeDirectories(fixture.rootfs + "/mnt/sub")
            try fixture.write("rootfs/mnt/sub/file", "kept\n", mode: 0o644)
            try File.makeSymbolicLink(to: "sub/file", fixture.rootfs + "/mnt/link")
            chown(fixture.rootfs + "/mnt/sub/file", 5, 6)
            chmod(fixture.rootfs + "/mnt", 0o1751)
            fixture.config.mounts.append(
                MountSpec(
                    destination: "/mnt", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "size=1m"]))
            fixture.shell(
                "cat /mnt/link; stat -c '%u %g %a' /mnt/sub/file; stat -c %a /mnt; touch /mnt/new && echo writable"
            )
            let output = try fixture.run().output
            #expect(output == "kept\n5 6 644\n1751\nwritable\n")
            #expect(!File.exists(fixture.rootfs + "/mnt/new"))
        }

        @Test func devicesAreMade() throws {
            let fixture = try RuntimeFixture()
            fixture.config.linux?.devices = [
                LinuxDevice(
                    type: "c", path: "/dev/fuse", major: 10, minor: 229, fileMode: 0o660, uid: 7, gid: 8),
                LinuxDevice(type: "b", path: "/dev/deep/loop9", major: 7, minor: 9),
            ]
            fixture.shell(
                """
                stat -c '%n %F %a %u:%g %t,%T' /dev/null /dev/fuse /dev/deep/loop9; readlink /dev/ptmx; readlink /dev/stdin
                echo x > /dev/null && head -c 3 /dev/zero | wc -c; head -c 1 /dev/deep/loop9
                """)
            let output = try fixture.run().output
            #expect(output.contains("/dev/null character special file 666 0:0 1,3"))
            #expect(output.contains("/dev/fuse character special file 660 7:8 a,e5"))
            #expect(output.contains("/dev/deep/loop9 block special file 666 0:0 7,9"))
            #expect(output.contains("pts/ptmx\n/proc/self/fd/0\n3\n"))
            #expect(output.contains("Operation not permitted"), "the device's cgroup rule")
        }

        @Test func linksStayInside() throws {
            let fixture = try RuntimeFixture()
            let name = "apus-test-must-not-exist-\(getpid())"
            try File.makeSymbolicLink(to: "../../../../../../etc", fixture.rootfs + "/up")
            try File.makeSymbolicLink(to: "/etc/\(name)-2", fixture.rootfs + "/absolute")
            fixture.config.root?.readonly = false
            fixture.config.mounts += [
                MountSpec(destination: "/up/\(name)", type: "tmpfs", source: "x"),
                MountSpec(
                    destination: "/absolute", type: "bind", source: fixture.directory, options: ["bind"]),
            ]
            fixture.shell("ls /etc")
            let output = try fixture.run().output
            #expect(output.contains(name) && output.contains("\(name)-2"))
            #expect(!File.exists("/etc/\(name)") && !File.exists("/etc/\(name)-2"))
            #expect(File.exists(fixture.rootfs + "/etc/\(name)"))
        }

        @Test func theKernelsViewLiesOnRealDirectories() throws {
            let fixture = try RuntimeFixture()
            try File.removeDirectory(fixture.rootfs + "/proc")
            try File.makeDirectory(fixture.rootfs + "/elsewhere")
            try File.makeSymbolicLink(to: "/elsewhere", fixture.rootfs + "/proc")
            #expect(try fixture.run().code == 1)
        }

        @Test(arguments: [
            MountSpec(destination: "/proc/self", type: "tmpfs", source: "x"),
            MountSpec(destination: "/proc", type: "bind", source: "/tmp", options: ["bind"]),
            MountSpec(destination: "/mnt", type: "nosuchfs", source: "x"),
            MountSpec(destination: "/mnt", type: "bind", source: "/does/not/exist", options: ["bind"]),
            MountSpec(destination: "/mnt", type: "tmpfs", source: "x", options: ["bogus=1"]),
        ])
        func mountsThatAreRefused(_ mount: MountSpec) throws {
            let fixture = try RuntimeFixture()
            fixture.config.mounts.append(mount)
            let outcome = try fixture.run()
            #expect(outcome.code == 1)
            #expect(outcome.output.contains("\"\(mount.destination)\\\""), "\(outcome.output)")
            #expect(fixture.status == nil && fixture.cgroupCount == 0)
        }

        @Test func controlGroupsAreShown() throws {
            let fixture = try RuntimeFixture()
            fixture.config.mounts.append(
                MountSpec(
                    destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
                    options: ["ro", "nosuid"]))
            fixture.config.linux?.namespaces.append(LinuxNamespace(.cgroup))
            fixture.shell(
                "cut -d: -f3 /proc/self/cgroup | grep -vc '^/$'; cat /sys/fs/cgroup/pids/cgroup.procs /sys/fs/cgroup/cgroup.procs 2>/dev/null | grep -c '^1$'; touch /sys/fs/cgroup/x"
            )
            let output = try fixture.run().output
            #expect(output.lines.prefix(2) == ["0", "1"], "\(output)")
            #expect(output.contains("Read-only file system"))
        }

        @Test func propagationToTheHostWhenItIsShared() throws {
            let fixture = try RuntimeFixture()
            let shared = fixture.directory + "/shared"
            try File.makeDirectories(shared)
            #expect(mount("apus-test", shared, "tmpfs", 0, nil) == 0)
            defer { while umount2(shared, 2) == 0 {} }
            #expect(mount(nil, shared, nil, UInt(MS_SHARED), nil) == 0)
            try File.makeDirectory(shared + "/inner")
            fixture.config.linux?.rootfsPropagation = "shared"
            let admin = ["CAP_SYS_ADMIN"]
            fixture.config.process?.capabilities = Capabilities(
                bounding: admin, effective: admin, permitted: admin)
            fixture.config.mounts.append(
                MountSpec(destination: "/mnt", type: "bind", source: shared, options: ["rbind", "rshared"]))
            fixture.shell("mount -t tmpfs apus-inner /mnt/inner")
            let before = try File.readText("/proc/self/mountinfo").lines.count
            #expect(try fixture.run().code == 0)
            let after = try File.readText("/proc/self/mountinfo").lines
            #expect(after.count == before + 1)
            #expect(after.contains { $0.contains("\(shared)/inner") })
            _ = umount2(shared + "/inner", 0)
        }
    }
}
