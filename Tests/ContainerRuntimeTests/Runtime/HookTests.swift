import JSONText
import LinuxSystem
import OCISpec
import Testing

extension RuntimeTests {
    @Suite struct HookCalls {
        private static let kinds = [
            "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
        ]

        private func hooks(_ make: (String) -> [Hook]) -> Hooks {
            var hooks = Hooks()
            hooks.prestart = make("prestart")
            hooks.createRuntime = make("createRuntime")
            hooks.createContainer = make("createContainer")
            hooks.startContainer = make("startContainer")
            hooks.poststart = make("poststart")
            hooks.poststop = make("poststop")
            return hooks
        }

        @Test func allKindsRunInTheirOrderAndPlace() throws {
            let fixture = try RuntimeFixture()
            fixture.config.root?.readonly = false
            fixture.config.annotations = ["a": "b"]
            try File.makeDirectories(fixture.rootfs + fixture.directory)
            let log = fixture.directory + "/log"
            fixture.config.hooks = hooks { kind in
                // The same path leads to one file outside and to another inside the container.
                [
                    Hook(
                        path: "/bin/sh", args: ["sh", "-c", "echo $MARK $(cat) >> \(log)"],
                        env: ["PATH=/bin:/usr/bin", "MARK=\(kind)"])
                ]
            }
            #expect(try fixture.run().code == 0)
            let outside = try File.readText(log).lines
            let inside = try File.readText(fixture.rootfs + log).lines
            #expect(
                outside.map { String($0.prefix { $0 != " " }) } == [
                    "prestart", "createRuntime", "createContainer", "poststart", "poststop",
                ])
            #expect(inside.map { String($0.prefix { $0 != " " }) } == ["startContainer"])
            let early = RuntimeFixture.isOurs ? "created" : "creating"
            let states = [early, early, early, nil, "stopped"]
            for (line, status) in zip(outside, states) {
                let state = try JSON(parsing: String(line.drop { $0 != "{" }))
                #expect(state["id"]?.string == fixture.id)
                #expect(state["annotations"]?["a"]?.string == "b")
                if let status { #expect(state["status"]?.string == status, "\(line)") }
            }
        }

        @Test(arguments: kinds)
        func aHookThatFailsStopsTheContainer(_ failing: String) throws {
            let fixture = try RuntimeFixture()
            fixture.config.hooks = hooks { kind in
                kind == failing
                    ? [Hook(path: "/bin/sh", args: ["sh", "-c", "echo said; exit 3"], env: ["PATH=/bin"])]
                    : []
            }
            let outcome = try fixture.run()
            // After the container has stopped there is nothing to stop.
            #expect(outcome.code == (failing == "poststop" ? 0 : 1))
            #expect(outcome.output.contains("said"), "\(outcome.output)")
            #expect(fixture.status == nil && fixture.cgroupCount == 0)
        }

        @Test func aHookHasItsTime() throws {
            let fixture = try RuntimeFixture()
            fixture.config.hooks = Hooks()
            fixture.config.hooks?.createRuntime = [
                Hook(path: "/bin/sleep", args: ["sleep", "100"], timeout: 1)
            ]
            let outcome = try fixture.run()
            #expect(outcome.code == 1 && outcome.output.contains("hook ran past specified timeout"))
        }

        @Test func aHooksOutputBlocks() throws {
            let fixture = try RuntimeFixture()
            fixture.config.hooks = Hooks()
            // O_NONBLOCK of the pipe, and more than it holds.
            let script = """
                flags=$(grep flags: /proc/$$/fdinfo/1); test $(( ${flags#flags:} & 04000 )) = 0 || exit 1
                head -c 300000 /dev/zero
                """
            fixture.config.hooks?.createRuntime = [Hook(path: "/bin/sh", args: ["sh", "-c", script])]
            let outcome = try fixture.run()
            #expect(outcome.code == 0, "\(outcome.output)")
        }

        @Test func whatRunsInTheContainerHasItsRights() throws {
            let fixture = try RuntimeFixture()
            fixture.config.process?.user = User(uid: 1000, gid: 1001)
            fixture.config.hooks = Hooks()
            fixture.config.hooks?.startContainer = [
                Hook(
                    path: "/bin/sh",
                    args: [
                        "sh", "-c",
                        "id -u > /dev/shm/hook; id -g >> /dev/shm/hook; grep -E 'CapBnd|NoNew|Seccomp:' /proc/self/status >> /dev/shm/hook",
                    ], env: ["PATH=/bin"])
            ]
            fixture.config.linux?.seccomp = Seccomp(defaultAction: .allow)
            fixture.config.linux?.seccomp?.syscalls = [Seccomp.Syscall(names: ["mkdir"], action: .kill)]
            fixture.shell("cat /dev/shm/hook")
            #expect(
                try fixture.run().output
                    == "1000\n1001\nCapBnd:\t0000000020000420\nNoNewPrivs:\t1\nSeccomp:\t2\n")
            fixture.config.hooks?.startContainer[0].args = ["sh", "-c", "mkdir /dev/shm/x"]
            fixture.config.process?.rlimits = [Rlimit(type: "RLIMIT_CORE", soft: 0, hard: 0)]
            let killed = try fixture.run()
            #expect(killed.code == 1 && killed.output.contains("signal: bad system call"), "\(killed.output)")
        }

        @Test func aHookNeedNotReadItsState() throws {
            let fixture = try RuntimeFixture()
            fixture.config.annotations = ["long": String(repeating: "x", count: 200_000)]
            fixture.config.hooks = Hooks()
            fixture.config.hooks?.createRuntime = [Hook(path: "/bin/true")]
            fixture.config.hooks?.poststart = [Hook(path: "/bin/cat", args: ["cat"])]
            #expect(try fixture.run().code == 0)
        }
    }
}
