import JSONText
import LinuxSystem
import OCISpec
import Testing

extension RuntimeTests {
    @Suite struct Namespaces {
        @Test func newOnesAreApart() throws {
            let fixture = try RuntimeFixture()
            fixture.shell(
                "for n in pid net ipc uts mnt; do readlink /proc/self/ns/$n; done; echo $$; hostname; ls /sys/class/net"
            )
            let lines = try fixture.run().output.lines
            for (line, name) in zip(lines, ["pid", "net", "ipc", "uts", "mnt"]) {
                #expect(line != (try File.readLink("/proc/self/ns/\(name)")))
            }
            #expect(lines.suffix(3) == ["1", "fixture", "lo"])
        }

        /// systemd has all mounts shared.
        @Test func userNamespacesBelowSharedMounts() throws {
            let fixture = try RuntimeFixture()
            let bound = fixture.directory + "/bound"
            try File.makeDirectory(bound)
            for path in [fixture.rootfs, bound] {
                #expect(mount(path, path, nil, UInt(MS_BIND), nil) == 0)
                #expect(mount(nil, path, nil, UInt(MS_SHARED), nil) == 0)
            }
            defer { for path in [fixture.rootfs, bound] { while umount2(path, Int32(MNT_DETACH)) == 0 {} } }
            try File.makeDirectory(bound + "/inner")
            fixture.config.linux?.namespaces.append(LinuxNamespace(.user))
            let mapping = [IDMapping(containerID: 0, hostID: 100_000, size: 65_536)]
            fixture.config.linux?.uidMappings = mapping
            fixture.config.linux?.gidMappings = mapping
            let admin = ["CAP_SYS_ADMIN"]
            fixture.config.process?.capabilities = Capabilities(
                bounding: admin, effective: admin, permitted: admin)
            fixture.config.mounts.append(
                MountSpec(destination: "/mnt", type: "bind", source: bound, options: ["rbind"]))
            fixture.shell(
                "mount -t tmpfs none /mnt/inner && touch /mnt/inner/x && echo mounted; exec sleep 100")
            try fixture.create()
            #expect(try fixture.command(["start", fixture.id]).code == 0)
            for _ in 0..<500 where !fixture.output.contains("mounted") { usleep(10_000) }
            #expect(fixture.output == "mounted\n")
            let host = try File.readText("/proc/self/mountinfo").lines.filter {
                $0.contains(fixture.directory)
            }
            #expect(host.count == 2, "\(host)")
        }

        @Test func userNamespacesMapTheirRoot() throws {
            let fixture = try RuntimeFixture()
            fixture.config.linux?.namespaces.append(LinuxNamespace(.user))
            let mapping = [IDMapping(containerID: 0, hostID: 100_000, size: 65_536)]
            fixture.config.linux?.uidMappings = mapping
            fixture.config.linux?.gidMappings = mapping
            fixture.shell(
                "id -u; touch /dev/shm/x; stat -c %u /dev/shm/x; cut -c11-40 /proc/self/uid_map; echo up; exec sleep 100"
            )
            try fixture.create()
            try fixture.command(["start", fixture.id])
            for _ in 0..<200 where !fixture.output.contains("up\n") { usleep(10_000) }
            #expect(
                fixture.output.lines.map { $0.split(separator: " ").joined(separator: " ") }
                    == ["0", "0", "100000 65536", "up"])
            let exec = try fixture.command([
                "exec", "--user", "5:6", fixture.id, "sh", "-c", "id -u; readlink /proc/self/ns/user",
            ])
            let namespace = exec.output.lines.last ?? ""
            #expect(exec.output.lines.first == "5" && namespace.hasPrefix("user:["), "\(exec.output)")
            // Another container in the same user namespace.
            let state = try JSON(parsing: try fixture.command(["state", fixture.id]).output)
            let pid = state["pid"]?.int ?? 0
            let other = try RuntimeFixture()
            other.config.linux?.namespaces.append(LinuxNamespace(.user, path: "/proc/\(pid)/ns/user"))
            if !RuntimeFixture.isOurs {
                other.config.linux?.uidMappings = mapping
                other.config.linux?.gidMappings = mapping
            }
            other.shell("id -u; readlink /proc/self/ns/user")
            #expect(try other.run().output == "0\n\(namespace)\n")
        }

        @Test func clocksOfAUserNamespace() throws {
            let fixture = try RuntimeFixture()
            fixture.config.linux?.namespaces += [LinuxNamespace(.user), LinuxNamespace(.time)]
            let mapping = [IDMapping(containerID: 0, hostID: 100_000, size: 65_536)]
            fixture.config.linux?.uidMappings = mapping
            fixture.config.linux?.gidMappings = mapping
            fixture.config.linux?.timeOffsets = ["boottime": TimeOffset(secs: 1337, nanosecs: 5)]
            fixture.config.process?.oomScoreAdj = 321
            fixture.shell("cat /proc/self/timens_offsets /proc/self/oom_score_adj")
            let output = try fixture.run().output
            let words = output.split { " \n".contains($0) }.map(String.init)
            #expect(words == ["monotonic", "0", "0", "boottime", "1337", "5", "321"], "\(output)")
        }

        @Test func aNetworkOfTheHostsInAUserNamespace() throws {
            let holder = try RuntimeFixture()
            holder.shell("exec sleep 100")
            try holder.create()
            let pid = try JSON(parsing: try holder.command(["state", holder.id]).output)["pid"]?.int ?? 0
            let fixture = try RuntimeFixture()
            let mapping = [IDMapping(containerID: 0, hostID: 100_000, size: 65_536)]
            fixture.config.linux?.uidMappings = mapping
            fixture.config.linux?.gidMappings = mapping
            fixture.config.linux?.namespaces.removeAll { $0.type == .network }
            fixture.config.linux?.namespaces += [
                LinuxNamespace(.user), LinuxNamespace(.network, path: "/proc/\(pid)/ns/net"),
            ]
            // A new view of a network takes rights over that.
            fixture.config.mounts.removeAll { $0.type == "sysfs" }
            fixture.config.linux?.maskedPaths = []
            fixture.shell("exec sleep 100")
            let outcome = try fixture.create()
            #expect(outcome.code == 0, "\(outcome.output)")
            try fixture.command(["start", fixture.id])
            #expect(
                try fixture.command(["exec", fixture.id, "readlink", "/proc/self/ns/net"]).output
                    == (try File.readLink("/proc/\(pid)/ns/net")) + "\n")
        }

        @Test func networkDevicesMoveIn() throws {
            let fixture = try RuntimeFixture()
            let name = "at\(UInt16.random(in: 0 ... .max))"
            func ip(_ words: String...) throws -> Int32 {
                try Spawn.wait(Spawn.start("ip", ["ip"] + words, descriptors: [nil, nil, nil])).exitCode
            }
            try #require(try ip("link", "add", name, "type", "veth", "peer", "name", "p" + name) == 0)
            defer { _ = try? ip("link", "delete", "p" + name) }
            try #require(try ip("address", "add", "10.99.1.2/24", "dev", name) == 0)
            fixture.config.linux?.netDevices = [name: NetDevice(name: "moved0")]
            fixture.config.process?.args = ["/bin/busybox", "ip", "address", "show", "dev", "moved0"]
            let outcome = try fixture.run()
            #expect(outcome.output.contains("inet 10.99.1.2/24"), "\(outcome.output)")
            fixture.config.linux?.netDevices = ["apus-none": NetDevice()]
            #expect(try fixture.run().code == 1)
            fixture.config.linux?.namespaces.removeAll { $0.type == .network }
            #expect(try fixture.run().output.contains("without a private NET namespace"))
        }

        @Test(.newMounts) func mountsOfAContainerInTheHostsMountNamespace() throws {
            let fixture = try RuntimeFixture()
            fixture.config.linux?.namespaces.removeAll { $0.type == .mount }
            fixture.config.linux?.maskedPaths = []
            fixture.config.linux?.readonlyPaths = []
            fixture.shell("cat /proc/1/comm; ls /dev/null")
            defer { umount2(fixture.rootfs, Int32(MNT_DETACH)) }
            #expect(try fixture.run().output == "sh\n/dev/null\n")
        }

        @Test func existingOnesAreJoined() throws {
            let holder = try RuntimeFixture()
            holder.shell("exec sleep 100")
            try holder.create()
            try holder.command(["start", holder.id])
            let pid = try JSON(parsing: try holder.command(["state", holder.id]).output)["pid"]?.int ?? 0
            let fixture = try RuntimeFixture()
            fixture.config.hostname = nil
            fixture.config.linux?.namespaces = [
                LinuxNamespace(.pid, path: "/proc/\(pid)/ns/pid"),
                LinuxNamespace(.network, path: "/proc/\(pid)/ns/net"),
                LinuxNamespace(.ipc, path: "/proc/\(pid)/ns/ipc"),
                LinuxNamespace(.uts, path: "/proc/\(pid)/ns/uts"),
                LinuxNamespace(.mount),
            ]
            fixture.shell("cat /proc/1/comm; hostname; readlink /proc/self/ns/net")
            #expect(
                try fixture.run().output == "sleep\nfixture\n\(try File.readLink("/proc/\(pid)/ns/net"))\n")
            fixture.config.linux?.namespaces = [
                LinuxNamespace(.network, path: "/etc/passwd"), LinuxNamespace(.mount),
            ]
            #expect(try fixture.run().code == 1)
        }
    }
}
