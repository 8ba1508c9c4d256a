import CommandGrammar
import Testing

@Suite struct HelpTests {
    @Test func programHelp() throws {
        let expected = """
            Usage:  apus [OPTIONS] COMMAND

            Run containers

            Common Commands:
              ps          List containers
              run         Create and run a new container from an image

            Management Commands:
              container   Manage containers

            Commands:
              logs        Fetch the logs of a container

            Global Options:
              -D, --debug       Say more
                  --root path   Where images are kept
              -v, --version     Print version information and quit

            Run 'apus COMMAND --help' for more information on a command.

            """
        #expect(try Sample.text("--help") == expected)
        #expect(try Sample.text("-h") == expected)
        #expect(try Sample.text("help") == expected)
        #expect(try Sample.text() == expected)
    }

    @Test func commandHelp() throws {
        let expected = """
            Usage:  apus ps [OPTIONS]

            List containers

            Aliases:
              apus container ls, apus container list, apus container ps, apus ps

            Options:
              -a, --all        Show all containers
              -n, --last int   Show n last (default -1)
                  --verbose    More

            """
        #expect(try Sample.text("ps", "--help") == expected)
        #expect(try Sample.text("ps", "-h") == expected)
        #expect(try Sample.text("help", "ps") == Sample.text("ps", "--help"))
    }

    @Test func helpOfAGroup() throws {
        let text = try Sample.text("container")
        #expect(text.hasPrefix("Usage:  apus container COMMAND\n\nManage containers\n\nCommands:\n"))
        #expect(text.contains("\n  ls          List containers\n"))
        #expect(try Sample.text("container", "--help") == text)
    }

    @Test func shortHelpYieldsToAFlagOfTheCommand() throws {
        #expect(try Sample.values("run", "-h", "box", "i").string("hostname") == "box")
        #expect(try Sample.text("run", "--help").contains("(default \"bridge\")"))
    }

    @Test func longSummariesWrap() throws {
        var tree = Sample.tree
        tree.width = 50
        #expect(
            try Sample.text("run", "--help", in: tree).split(separator: "\n").allSatisfy { $0.count <= 80 })
    }

    @Test func version() throws {
        #expect(try Sample.text("--version") == "apus version 0.1.0\n")
        #expect(try Sample.text("-v") == "apus version 0.1.0\n")
    }

    @Test func manualPages() {
        let pages = Sample.tree.manualPages()
        #expect(
            pages.map(\.name) == [
                "apus.1", "apus-run.1", "apus-ps.1", "apus-container.1", "apus-container-run.1",
                "apus-container-ls.1", "apus-container-logs.1", "apus-logs.1",
            ])
        #expect(pages.first { $0.name == "apus-container-run.1" }?.text == ".so man1/apus-run.1\n")
        let run = pages.first { $0.name == "apus-run.1" }?.text ?? ""
        #expect(run.contains("\\fB\\-e\\fR, \\fB\\-\\-env\\fR \\fIKEY=VALUE\\fR\n"))
        #expect(!run.contains("Old name"))
    }
}

@Suite struct CompletionTests {
    func words(_ typed: String...) -> [String] {
        Sample.tree.candidates(for: typed) { kind, values in
            kind == "containers" ? ["web", "db", values.string("root") ?? "none"] : ["debian", "busybox"]
        }.words.map(\.word)
    }

    @Test func commandsFlagsAndObjects() {
        #expect(words("") == ["run", "ps", "container", "logs"])
        #expect(words("container", "l") == ["ls", "logs"])
        #expect(words("ps", "--") == ["--all", "--help", "--last", "--verbose"])
        #expect(words("--") == ["--debug", "--help", "--root"])
        #expect(words("logs", "") == ["web", "db", "none"])
        #expect(words("--root", "/r", "logs", "-f", "") == ["web", "db", "/r"])
        #expect(words("logs", "--root=/q", "/") == ["/q"])
        #expect(words("logs", "web", "") == [])
        #expect(words("run", "-it", "d") == ["debian"])
        #expect(words("run", "--pull", "") == ["always", "missing", "never"])
        #expect(words("run", "--pull=n") == ["--pull=never"])
        #expect(words("nonsense", "") == [])
    }

    @Test func pathsAreTheShells() {
        #expect(Sample.tree.candidates(for: ["run", "-v", "/e"]).paths == .directories)
        #expect(Sample.tree.candidates(for: ["run", "image", ""]).paths == .files)
        #expect(Sample.tree.candidates(for: ["--root", ""]).text == ":directories\n")
    }

    @Test func scriptsNameTheProgram() throws {
        #expect(try Sample.text("completion", "bash").contains("complete -F _apus_complete apus\n"))
        #expect(try Sample.text("completion", "zsh").hasPrefix("#compdef apus\n"))
        #expect(try Sample.text("completion", "fish").contains("complete -c apus "))
        #expect(Sample.refusal("completion", "tcsh") != nil)
    }

    @Test func helpAsUrfaveHasIt() throws {
        let help = try Sample.text("--help", in: Sample.runtime)
        #expect(
            help.hasPrefix("NAME:\n   apus-runtime - OCI runtime\n\nUSAGE:\n   apus-runtime [global options]")
        )
        #expect(help.contains("COMMANDS:\n   run      Run\n   exec     Exec\n"))
        let run = try Sample.text("run", "-h", in: Sample.runtime)
        #expect(
            run.hasPrefix("NAME:\n   apus-runtime run - Run\n\nUSAGE:\n   apus-runtime run [OPTIONS] ID\n"))
        #expect(run.contains("--bundle, -b"))
        #expect(
            Sample.refusal("foo", "-h", in: Sample.runtime)?.message == "No help topic for 'foo'")
    }
}
