import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// Published escapes by what a runtime holds open while it enters a container.
    @Suite struct RuntimeSecurityDescriptorTests {
        typealias Bundle = RuntimeCommandTests.Bundle

        /// A process of the container looked through /proc at what `exec` was adding to it, and took
        /// the host's descriptors from there before the command ran.
        @Test func CVE_2016_9962() throws {
            try Host.with { host in
                let bundle = try Bundle(host)
                try bundle.giveRights("CAP_SYS_ADMIN", "CAP_NET_ADMIN")
                try bundle.script(
                    """
                    while true; do
                      ls -l /proc/[0-9]*/fd /proc/[0-9]*/exe /proc/[0-9]*/cwd /proc/[0-9]*/root
                    done > /tmp/seen 2> /dev/null
                    """)
                try bundle.create("a")
                #expect(try bundle.run("start", "a").exit == 0)
                for _ in 0..<30 { #expect(try bundle.run("exec", "a", "true").exit == 0) }
                #expect(try bundle.run("delete", "--force", "a").exit == 0)
                let targets = try File.readText("\(bundle.rootfs)/tmp/seen").split(separator: "\n")
                    .compactMap { line in
                        line.split(separator: " ").lastIndex(of: "->").map {
                            line.split(separator: " ")[($0 + 1)...].joined(separator: " ")
                        }
                    }
                #expect(targets.contains("/bin/busybox"), "the attacker has seen nothing")
                let harmless = ["pipe:", "socket:", "/dev/null", "/tmp/seen", "/bin/busybox", "/memfd:apus"]
                let stolen = Set(targets).filter { target in
                    // What `create` was given is the container's own output.
                    target != "/" && target != host.path("out") && !harmless.contains { target.hasPrefix($0) }
                        && !(target.hasPrefix("/proc/") && target.hasSuffix("/fd"))
                }
                #expect(stolen.isEmpty, "\(stolen.sorted())")
            }
        }

        /// The command led to `/proc/self/exe`, so that the runtime's own program ran in the container;
        /// others there kept it open and wrote into the host's file when it had ended.
        @Test func CVE_2019_5736() throws {
            try Host.with { host in
                let bundle = try Bundle(host)
                // A copy, so that an attack that succeeds breaks nothing.
                let program = host.path("runtime")
                try ProgramRun.tool(
                    "cp",
                    bundle.runtime[0].hasPrefix("/")
                        ? bundle.runtime[0] : try #require(Programs.find("runc")), program)
                func runtime(_ arguments: String...) throws -> Finished {
                    try ProgramRun.run([program, "--root", bundle.state] + arguments)
                }
                host.later {
                    _ = try? ProgramRun.run([program, "--root", bundle.state, "delete", "-f", "a"])
                }
                let before = try File.read(program)
                try bundle.giveRights("CAP_SYS_ADMIN")
                try bundle.plant("/proc/self/exe", at: "bin/linked")
                try host.write("#!/proc/self/exe\n", to: "bundle/rootfs/bin/scripted")
                chmod("\(bundle.rootfs)/bin/scripted", 0o755)
                // Opens every program that is not its own, and writes as soon as that is not busy.
                try bundle.script(
                    """
                    echo ready > /tmp/ready
                    while true; do for p in /proc/[0-9]*; do
                      case "$(readlink $p/exe)" in ''|/bin/busybox) continue;; esac
                      ( exec 9< $p/exe && echo opened >> /tmp/opened && for i in 1 2 3 4 5 6; do
                          echo pwned > /proc/self/fd/9 && echo written >> /tmp/written; sleep 0.02
                        done ) 2> /dev/null &
                    done; done
                    """)
                #expect(
                    try ProgramRun.run([
                        "sh", "-c",
                        "\(program) --root \(bundle.state) create -b \(bundle.path) a </dev/null >/dev/null 2>&1",
                    ]).exit == 0)
                #expect(try runtime("start", "a").exit == 0)
                try host.eventually("the attacker runs") { File.exists("\(bundle.rootfs)/tmp/ready") }
                for _ in 0..<12 {
                    for command in ["linked", "scripted", "true"] { _ = try runtime("exec", "a", command) }
                }
                #expect(try runtime("kill", "a", "KILL").exit == 0)
                #expect(!File.exists("\(bundle.rootfs)/tmp/written"))
                _ = try runtime("delete", "--force", "a")
                #expect(try File.read(program) == before)

                for command in ["linked", "scripted"] {
                    try bundle.command(command)
                    _ = try ProgramRun.run([program, "--root", bundle.state, "run", "-b", bundle.path, "b"])
                }
                #expect(try File.read(program) == before)
            }
        }

        /// The working directory led through a descriptor that the runtime had left open on a directory
        /// of the host; from there `../..` was the host's root.
        @Test func CVE_2024_21626() throws {
            try Host.with { host in
                let bundle = try Bundle(host)
                try bundle.giveRights()
                let bait = try Bait(host)
                let script =
                    "pwd; ls /proc/self/fd/ | tr '\\n' ' '; cat ../../../../../../..\(bait.path)/kept"
                try bundle.script(script)
                for descriptor in 3..<16 {
                    for path in ["/proc/self/fd/\(descriptor)", "/proc/self/fd/\(descriptor)/sys/fs"] {
                        try bundle.process { $0["cwd"] = .string(path) }
                        let finished = try bundle.attack()
                        #expect(!finished.text.contains(Bait.secret), "\(finished)")
                        #expect(!finished.text.contains("(unreachable)"), "\(finished)")
                    }
                    try bundle.plant("/proc/self/fd/\(descriptor)", at: "link\(descriptor)")
                }
                try bundle.process { $0["cwd"] = "/" }
                try bundle.command("sleep", "100")
                try bundle.create("a")
                #expect(try bundle.run("start", "a").exit == 0)
                for descriptor in 3..<16 {
                    let finished = try bundle.run(
                        "exec", "--cwd", "/link\(descriptor)", "a", "sh", "-c", script)
                    #expect(finished.exit != 0 && finished.text.isEmpty, "\(finished)")
                }
                // The three streams, and the directory that ls reads.
                let descriptors = try bundle.run("exec", "a", "ls", "/proc/self/fd")
                #expect(descriptors.lines.count == 4, "\(descriptors)")
            }
        }
    }
}
