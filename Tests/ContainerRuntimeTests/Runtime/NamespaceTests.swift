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
