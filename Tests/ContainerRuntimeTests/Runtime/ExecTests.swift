import LinuxSystem
import OCISpec
import Testing

@testable import ContainerRuntime

@Suite struct NumberSetTests {
    @Test func listsAreUnderstood() {
        #expect(NumberSet(list: "0-3,7")?.words == [0x8f])
        #expect(NumberSet(list: "64")?.hexadecimal == "0x10000000000000000")
        #expect(NumberSet(list: "0-1, 3")?.count == 3)
        for wrong in ["", "a", "1-", "-1", "3-1", "1,,2", "0-9876543210", "8192", "1-2-3"] {
            #expect(NumberSet(list: wrong) == nil, "\(wrong)")
        }
    }
}

extension RuntimeTests {
    @Suite struct AddedProcesses {
        private static let list = ["grep", "Cpus_allowed_list:", "/proc/self/status"]

        @Test func processorsAreTheContainersOrThoseAskedFor() throws {
            let all = try File.readText("/proc/self/status").lines.first {
                $0.hasPrefix("Cpus_allowed_list:")
            }
            let fixture = try RuntimeFixture()
            fixture.shell("exec sleep 100")
            try fixture.save()
            func restricted(_ arguments: [String]) throws -> String {
                let file = try File.open(fixture.directory + "/output", O_RDWR | O_CREAT | O_TRUNC | O_APPEND)
                let command =
                    ["taskset", "-c", "0", RuntimeFixture.program, "--root", fixture.root] + arguments
                let pid = try Spawn.start("taskset", command, descriptors: [nil, file.raw, file.raw])
                #expect(try Spawn.wait(pid).exitCode == 0)
                return fixture.output
            }
            _ = try restricted(["run", "-d", "-b", fixture.directory, fixture.id])
            _ = try fixture.command(["state", fixture.id])
            #expect(try restricted(["exec", fixture.id] + Self.list) == (all ?? "") + "\n")
            try fixture.write(
                "process.json",
                """
                {"args": ["/bin/grep", "Cpus_allowed_list:", "/proc/self/status"], "cwd": "/",
                 "execCPUAffinity": {"initial": "0", "final": "0"}}
                """)
            let exec = try fixture.command([
                "--debug", "exec", "--process", fixture.directory + "/process.json", fixture.id,
            ])
            // Who is cloned into a group of v2 with a cpuset of its own gets that one's processors.
            let delegated = try? File.readText("/sys/fs/cgroup/cgroup.subtree_control")
            if delegated?.contains("cpuset") != true {
                #expect(exec.output.contains("affinity: 0x1\""), "\(exec.output)")
            }
            #expect(exec.output.contains("Cpus_allowed_list:\t0\n"), "\(exec.output)")
        }

        @Test func groupsBelowTheContainers() throws {
            let fixture = try RuntimeFixture()
            fixture.config.linux?.cgroupsPath = "/\(fixture.id)"
            fixture.shell("exec sleep 100")
            try fixture.create()
            try fixture.command(["start", fixture.id])
            func exec(_ group: String) throws -> RuntimeFixture.Outcome {
                try fixture.command(["exec", "--cgroup", group, fixture.id, "cat", "/proc/self/cgroup"])
            }
            for (group, complaint) in [
                ("..", "bad sub cgroup path"), ("a/../..", "bad sub cgroup path"), ("none", "no such file"),
                ("nothing:/", "unknown controller nothing"),
            ] {
                let outcome = try exec(group)
                #expect(outcome.code == 255 && outcome.output.contains(complaint), "\(outcome.output)")
            }
            #expect(try exec("/").code == 0)
            guard File.exists("/sys/fs/cgroup/pids/\(fixture.id)") else { return }
            try File.makeDirectory("/sys/fs/cgroup/pids/\(fixture.id)/below")
            let outcome = try exec("pids:below")
            #expect(outcome.output.contains("pids:/\(fixture.id)/below"), "\(outcome.output)")
            #expect(!outcome.output.contains("memory:/\(fixture.id)/below"))
        }
    }

    @Suite struct Reports {
        @Test func debuggingGoesToTheLog() throws {
            let fixture = try RuntimeFixture()
            fixture.config.process?.args = ["/bin/echo", "hello"]
            try fixture.save()
            let log = fixture.directory + "/log"
            let outcome = try fixture.command([
                "--debug", "--log", log, "--log-format", "json", "run", "-b", fixture.directory, fixture.id,
            ])
            #expect(outcome.output == "hello\n")
            let text = try File.readText(log)
            #expect(
                text.contains("\"level\":\"debug\"") && text.contains("child process in init()"), "\(text)")
        }

        @Test func anAmbientCapabilityThatCannotBe() throws {
            let fixture = try RuntimeFixture()
            fixture.config.process?.capabilities?.inheritable = ["CAP_KILL"]
            fixture.config.process?.capabilities?.ambient = ["CAP_KILL", "CAP_AUDIT_WRITE"]
            fixture.shell("grep CapAmb /proc/self/status")
            let output = try fixture.run().output
            #expect(output.contains("can't raise ambient capability CAP_AUDIT_WRITE"), "\(output)")
            #expect(output.contains("CapAmb:\t0000000000000020"))
        }

        @Test func aCommandThatCannotBeExecutedIsSaidPlainly() throws {
            let fixture = try RuntimeFixture()
            try fixture.write("rootfs/etc/script", "#!/no/interpreter\n", mode: 0o755)
            fixture.config.process?.args = ["/etc/script"]
            #expect(try fixture.run().output == "exec /etc/script: no such file or directory\n")
        }
    }
}
