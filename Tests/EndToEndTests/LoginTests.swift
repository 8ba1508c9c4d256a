import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// Passwords that a program of the user's keeps.
    @Suite(.ours) struct LoginTests {
        /// A credential helper that keeps each entry in a file, and a log of what it was asked.
        private static func helper(_ host: Host, _ name: String) throws {
            let kept = host.path("kept")
            try File.makeDirectories(kept)
            let script = """
                #!/bin/sh
                input=$(cat)
                echo "$1" >>\(kept)/log
                server=$(printf '%s' "$input" | sed 's/.*"ServerURL": *"\\([^"]*\\)".*/\\1/')
                file=\(kept)/$(printf '%s' "$server" | tr '/:' '__')
                case $1 in
                store) printf '%s' "$input" >"$file" ;;
                get) cat "$file" 2>/dev/null || { echo credentials not found in native keychain; exit 1; } ;;
                erase) rm "$file" ;;
                esac

                """
            let path = try host.write(script, to: "bin/docker-credential-\(name)")
            chmod(path, 0o755)
        }

        private static func run(_ host: Host, _ arguments: [String], input: String = "") throws -> Finished {
            let environment = host.environment.map {
                $0.hasPrefix("PATH=") ? "PATH=\(host.path("bin")):\($0.dropFirst(5))" : $0
            }
            return try ProgramRun.run(
                host.command + arguments, input: .bytes(Array(input.utf8)), environment: environment)
        }

        @Test(.needs("docker-registry", "htpasswd"), arguments: [false, true])
        func helpersKeepPasswords(_ forAll: Bool) throws {
            try Host.with { host in
                let registry = try Registry(host, password: "se\"cret")
                try Self.helper(host, "test")
                let settings =
                    forAll ? #""credsStore":"test""# : #""credHelpers":{"\#(registry.address)":"test"}"#
                let auths =
                    #""auths":{"other.example":{"auth":"YTpi"},"\#(registry.address)":{"auth":"YTpi"}}"#
                let file = try host.write("{\(settings),\(auths)}", to: "home/auth.json")
                func run(_ arguments: String..., input: String = "") throws -> Finished {
                    try Self.run(host, arguments, input: input)
                }
                let login = try run(
                    "login", "-u", "tester", "--password-stdin", registry.address, input: "se\"cret")
                #expect(login.exit == 0, "\(login)")
                // In the helper alone; an older secret is gone.
                let json = try JSON(parsing: try File.read(file, limit: 1 << 20))
                #expect(json["auths"]?.object?.members.map(\.name) == ["other.example"])
                #expect(forAll ? json["credsStore"] != nil : json["credHelpers"] != nil)
                #expect(try run("login", "--get-login", registry.address).text == "tester")

                let name = "\(registry.address)/private:1"
                #expect(try run("import", "-q", try Fixtures.busyboxTar(), name).exit == 0)
                let pushed = try run("push", "-q", name)
                #expect(pushed.exit == 0, "\(pushed)")

                #expect(try run("logout", registry.address).exit == 0)
                #expect(try run("login", "--get-login", registry.address).exit == 125)
                let refused = try run("push", "-q", name)
                #expect(refused.exit == 125 && refused.errorText.contains("authentication required"))
                #expect(try File.names(in: host.path("kept")) == ["log"])

                #expect(try run("login", "-u", "tester", "-p", "se\"cret", registry.address).exit == 0)
                if !forAll { #expect(try run("logout", "--all").exit == 0) }
                #expect(try File.names(in: host.path("kept")).count == (forAll ? 2 : 1))
                let verbs = try File.readText(host.path("kept/log"))
                #expect(verbs.contains("store\n") && verbs.contains("get\n") && verbs.contains("erase\n"))
            }
        }

        /// Helpers that are no program's name, fail, or print without end (CVE-2021-41092).
        @Test(.needs("docker-registry", "htpasswd")) func helpersThatFail() throws {
            try Host.with { host in
                let registry = try Registry(host, password: "secret")
                func login(_ helper: String) throws -> Finished {
                    try host.write(
                        #"{"credHelpers":{"\#(registry.address)":"\#(helper)"}}"#, to: "home/auth.json")
                    return try Self.run(host, ["login", "-u", "tester", "-p", "secret", registry.address])
                }
                for (helper, script, expected) in [
                    ("none", nil, "docker-credential-none"), ("../bin/x", nil, "no program's name"),
                    ("says", "echo the keyring is locked; exit 3", "the keyring is locked"),
                    ("mute", "exit 3", "exit code 3"),
                    ("endless", "cat /dev/zero", "docker-credential-endless"),
                ] as [(String, String?, String)] {
                    if let script {
                        chmod(
                            try host.write("#!/bin/sh\n\(script)\n", to: "bin/docker-credential-\(helper)"),
                            0o755)
                    }
                    let finished = try login(helper)
                    #expect(finished.exit == 125 && finished.errorText.contains(expected), "\(finished)")
                }
            }
        }

        /// What another tool remembered is used, and is that tool's to forget.
        @Test(.needs("docker-registry", "htpasswd", "podman")) func sharesWithPodman() throws {
            try Host.with { host in
                let registry = try Registry(host, password: "secret")
                let command = ["podman", "--root", host.path("p"), "--runroot", host.path("pr")]
                func podman(_ arguments: String...) throws -> Finished {
                    try ProgramRun.run(command + arguments, environment: host.environment)
                }
                let theirs = try podman(
                    "login", "--tls-verify=false", "-u", "tester", "-p", "secret", registry.address)
                #expect(theirs.exit == 0, "\(theirs)")
                #expect(try host.ok("login", "--get-login", registry.address) == "tester")
                #expect(try host.ok("login", registry.address).contains("Already logged in"))
                #expect(
                    try host.ok("logout", registry.address)
                        == "Removed login credentials for \(registry.address)")
                #expect(try podman("login", "--get-login", registry.address).exit == 125)
                try host.ok("login", "-u", "tester", "-p", "secret", registry.address)
                let known = try podman("login", "--get-login", registry.address)
                #expect(known.text == "tester", "\(known)")
                _ = try podman("system", "reset", "-f")
            }
        }
    }
}
