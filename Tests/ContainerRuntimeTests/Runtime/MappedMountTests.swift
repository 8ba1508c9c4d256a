import LinuxSystem
import OCISpec
import Testing

extension RuntimeTests {
    @Suite struct MappedMounts {
        private func fixture() throws -> RuntimeFixture {
            let fixture = try RuntimeFixture()
            try File.makeDirectories(fixture.directory + "/source/inner")
            try fixture.write("source/file", "there\n")
            try #require(chown(fixture.directory + "/source/file", 100, 211) == 0)
            return fixture
        }

        private func inUserNamespace(_ fixture: RuntimeFixture) {
            let mapping = [IDMapping(containerID: 0, hostID: 100_000, size: 65_536)]
            fixture.config.linux?.namespaces.append(LinuxNamespace(.user))
            fixture.config.linux?.uidMappings = mapping
            fixture.config.linux?.gidMappings = mapping
        }

        @Test(.newMounts, arguments: [false, true])
        func eachMountHasItsOwnMapping(_ hasUser: Bool) throws {
            let fixture = try fixture()
            if hasUser { inUserNamespace(fixture) }
            for (position, base) in ([101_000, 102_000] as [UInt32]).enumerated() {
                var mount = MountSpec(
                    destination: "/mnt/\(position)", type: "bind", source: fixture.directory + "/source",
                    options: ["bind"])
                mount.uidMappings = [IDMapping(containerID: 100, hostID: base, size: 100)]
                mount.gidMappings = [IDMapping(containerID: 200, hostID: base + 500, size: 100)]
                fixture.config.mounts.append(mount)
            }
            fixture.config.root?.readonly = false
            if hasUser { try #require(chown(fixture.rootfs + "/mnt", 100_000, 100_000) == 0) }
            fixture.shell("stat -c '%u %g' /mnt/0/file /mnt/1/file")
            #expect(
                try fixture.run().output
                    == (hasUser ? "1000 1511\n2000 2511\n" : "101000 101511\n102000 102511\n"))
        }

        @Test func aSourceThatOnlyTheHostReaches() throws {
            let fixture = try fixture()
            inUserNamespace(fixture)
            try #require(chmod(fixture.directory + "/source", 0o700) == 0)
            for name in ["a", "b"] {
                fixture.config.mounts.append(
                    MountSpec(
                        destination: "/mnt/" + name, type: "bind", source: fixture.directory + "/source/file",
                        options: ["bind"]))
                try fixture.write("rootfs/mnt/" + name, "")
            }
            fixture.shell("cat /mnt/a /mnt/b")
            #expect(try fixture.run().output == "there\nthere\n")
        }

        @Test(arguments: [false, true])
        func aSourceMayBeAnEarlierMount(_ hasUser: Bool) throws {
            let fixture = try fixture()
            if hasUser { inUserNamespace(fixture) }
            try File.makeDirectories(fixture.rootfs + "/mnt/a")
            try File.makeDirectories(fixture.rootfs + "/mnt/b")
            // A destination may be written as the host sees it.
            for (source, destination) in [
                (fixture.directory + "/source", fixture.rootfs + "/mnt/a"),
                (fixture.rootfs + "/mnt/a", "/mnt/b"),
            ] {
                fixture.config.mounts.append(
                    MountSpec(destination: destination, type: "bind", source: source, options: ["rbind"]))
            }
            fixture.shell("cat /mnt/b/file")
            #expect(try fixture.run().output == "there\n")
        }

        @Test func aPathIsMaskedOnce() throws {
            let fixture = try fixture()
            try File.makeDirectory(fixture.rootfs + "/hidden")
            fixture.config.linux?.maskedPaths += ["/hidden", "/hidden"]
            fixture.shell("grep -c /hidden /proc/mounts")
            #expect(try fixture.run().output == "1\n")
        }

        @Test func withoutAPivotNoBareProcIsLeft() throws {
            let fixture = try fixture()
            let names = ["CAP_SYS_ADMIN", "CAP_SETFCAP"]
            fixture.config.process?.capabilities = Capabilities(
                bounding: names, effective: names, permitted: names)
            fixture.config.process?.args = [
                "/bin/busybox", "unshare", "-mrpf", "mount", "-t", "proc", "none", "/proc",
            ]
            let outcome = try fixture.run(["--no-pivot"])
            #expect(outcome.code != 0 && outcome.output.contains("denied"), "\(outcome.output)")
        }

        @Test func memoryPolicies() throws {
            let fixture = try fixture()
            fixture.shell("head -n 1 /proc/self/numa_maps | cut -d ' ' -f 2")
            fixture.config.linux?.memoryPolicy = MemoryPolicy(mode: "MPOL_INTERLEAVE", nodes: "0")
            #expect(try fixture.run().output == "interleave:0\n")
            for (policy, complaint) in [
                (MemoryPolicy(mode: ""), "invalid memory policy mode"),
                (MemoryPolicy(mode: "MPOL_BIND", nodes: "x"), "invalid memory policy node"),
                (MemoryPolicy(mode: "MPOL_BIND", nodes: "0", flags: ["y"]), "invalid memory policy flag"),
                (MemoryPolicy(mode: "MPOL_DEFAULT", nodes: "0-7"), "mode requires 0 nodes but got 8"),
            ] {
                fixture.config.linux?.memoryPolicy = policy
                let outcome = try fixture.run()
                #expect(outcome.code == 1 && outcome.output.contains(complaint), "\(outcome.output)")
            }
        }
    }
}
