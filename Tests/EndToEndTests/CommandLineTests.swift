import LinuxSystem
import Testing

extension EndToEnd {
    /// Help, completion, man pages, version: made from the table that parses.
    @Suite(.ours) struct CommandLineTests {
        @Test func everyCommandHasHelpAndAManPage() throws {
            try Host.with { host in
                let help = try host.ok("--help")
                try File.makeDirectories(host.path("man"))
                try host.ok("man", "--output", host.path("man"))
                let pages = Set(try File.names(in: host.path("man")))
                #expect(pages.contains("apus.1"))
                for command in [
                    "run", "create", "start", "ps", "logs", "exec", "attach", "stop", "kill", "wait", "rm",
                    "inspect", "images", "load", "import", "pull", "tag", "rmi", "save",
                ] {
                    #expect(help.contains("\n  \(command) "), "\(command)")
                    #expect(pages.contains("apus-\(command).1"), "\(command)")
                    let own = try host.ok(command, "--help")
                    #expect(own.hasPrefix("Usage:  apus \(command)"), "\(command)")
                }
                let run = try host.ok("run", "--help")
                for flag in [
                    "detach", "interactive", "tty", "rm", "name", "entrypoint", "env", "volume", "workdir",
                    "user", "hostname", "read-only", "tmpfs", "cap-add", "cap-drop", "privileged", "memory",
                    "cpus", "pids-limit", "network", "publish", "init", "restart", "runtime",
                ] {
                    #expect(run.contains(" --\(flag)"), "\(flag)")
                }
                #expect(try host.ok("container", "run", "--help").contains("apus container run"))
            }
        }

        @Test(.needs("man")) func manPagesHaveNoRoffErrors() throws {
            try Host.with { host in
                try File.makeDirectories(host.path("man"))
                try host.ok("man", "--output", host.path("man"))
                for name in try File.names(in: host.path("man")) {
                    let text = try File.readText("\(host.path("man"))/\(name)")
                    if text.hasPrefix(".so ") { continue }
                    let checked = try ProgramRun.run([
                        "man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z",
                        "\(host.path("man"))/\(name)",
                    ])
                    #expect(checked.exit == 0 && checked.errorText == "", "\(name): \(checked.errorText)")
                }
            }
        }

        @Test func bashCompletes() throws {
            try Host.with { host in
                try host.write(try host.ok("completion", "bash"), to: "apus.bash")
                let id = try host.ok("create", "--name", "\(host.prefix)-complete", try host.busybox())
                func complete(_ words: String...) throws -> [String] {
                    let line = (["apus", "--root", host.root, "--runroot", host.runRoot] + words).map {
                        "'\($0)'"
                    }.joined(separator: " ")
                    let script = """
                        source \(host.path("apus.bash"))
                        COMP_WORDS=(\(line)); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
                        COMP_WORDS[0]='\(Programs.apus)'
                        _apus_complete
                        printf '%s\\n' "${COMPREPLY[@]}"
                        """
                    let finished = try ProgramRun.run(["bash", "-c", script], environment: host.environment)
                    #expect(finished.errorText == "")
                    return finished.lines
                }
                #expect(try complete("ru") == ["run"])
                #expect(try complete("run", "--detac").contains("--detach"))
                #expect(try complete("rm", "").contains("\(host.prefix)-complete"))
                #expect(try complete("run", "").contains { $0.contains("busybox") })
                _ = id
            }
        }

        @Test(.needs("zsh")) func zshScriptIsSound() throws {
            try Host.with { host in
                let file = try host.write(try host.ok("completion", "zsh"), to: "_apus")
                try ProgramRun.tool("zsh", "-n", file)
            }
        }

        @Test(.needs("fish")) func fishScriptIsSound() throws {
            try Host.with { host in
                let file = try host.write(try host.ok("completion", "fish"), to: "apus.fish")
                try ProgramRun.tool("fish", "--no-execute", file)
            }
        }

        @Test func versionsOfThePrograms() throws {
            try Host.with { host in
                let own = try host.ok("--version")
                #expect(own.contains("0."))
                let runtime = try ProgramRun.run([Programs.runtime, "--version"])
                #expect(runtime.text.contains("spec: 1."))
            }
        }
    }
}
