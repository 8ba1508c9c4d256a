import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// Who signed an image, and what becomes of those that nobody signed.
    @Suite(.ours) struct TrustTests {
        /// A GPG home with a key, and what policies and registries.d say.
        private final class Setting {
            let host: Host
            let registry: Registry
            /// `127.0.0.1:PORT/signed/app:1`
            let name: String
            let environment: [String]

            init(_ host: Host) throws {
                self.host = host
                registry = try Registry(host)
                name = "\(registry.address)/signed/app:1"
                let home = host.path("gnupg")
                try File.makeDirectory(home, mode: 0o700)
                environment = host.environment + ["GNUPGHOME=\(home)"]
                host.later { _ = try? ProgramRun.tool("gpgconf", "--homedir", home, "--kill", "all") }
                try tool(
                    "gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "alice@example.com",
                    "ed25519", "sign", "never")
                _ = try tool("gpg", "--batch", "-o", host.path("alice.gpg"), "--export", "alice@example.com")
                try File.makeDirectories(host.path("registries.d"))
                _ = try host.write(
                    """
                    docker:
                      \(registry.address):
                        lookaside: file://\(host.path("sigs"))
                        use-sigstore-attachments: true

                    """, to: "registries.d/here.yaml")
                try policy("gpg", requirement: signedBy)
                try policy("reject", requirement: #"{"type":"reject"}"#)
            }

            var signedBy: String {
                #"{"type":"signedBy","keyType":"GPGKeys","keyPath":"\#(host.path("alice.gpg"))"}"#
            }

            /// For the registry's images; nothing else is accepted.
            func policy(_ name: String, requirement: String) throws {
                _ = try host.write(
                    #"{"default":[{"type":"reject"}],"transports":{"docker":{"\#(registry.address)":[\#(requirement)]}}}"#,
                    to: "\(name).json")
            }

            @discardableResult func tool(_ command: String...) throws -> String {
                let run = try ProgramRun.run(command, environment: environment)
                guard run.exit == 0 else { throw Unexpected("\(run)") }
                return run.text
            }

            func skopeo(_ arguments: String...) throws -> Finished {
                try ProgramRun.run(
                    ["skopeo", "--registries.d", host.path("registries.d")] + arguments,
                    environment: environment)
            }

            func apus(_ arguments: String..., policy: String? = nil) throws -> Finished {
                var flags = ["--registries.d", host.path("registries.d")]
                if let policy { flags += ["--signature-policy", host.path("\(policy).json")] }
                return try ProgramRun.run(
                    host.command + [arguments[0]] + flags + arguments.dropFirst(),
                    environment: environment)
            }

            func makeKey(_ prefix: String) throws {
                _ = try host.write("sesame\n", to: "passphrase")
                let made = try ProgramRun.run([
                    Programs.apus, "image", "generate-sigstore-key", "--output-prefix", host.path(prefix),
                    "--passphrase-file", host.path("passphrase"),
                ])
                guard made.exit == 0 else { throw Unexpected("\(made)") }
            }

            /// What is in the store, on disk.
            func contents() throws -> String {
                try ProgramRun.tool(
                    "sh", "-c",
                    "cd \(host.root) && find blobs overlay ingest partial -mindepth 1 2>/dev/null | sort"
                )
            }
        }

        private static func with(_ body: (Setting) throws -> Void) throws {
            try Host.with { host in try body(try Setting(host)) }
        }

        @Test(
            "GPG: what each signs, the other accepts; what nobody signed leaves nothing behind",
            .needs("docker-registry", "skopeo", "gpg"))
        func simpleSigning() throws {
            try Self.with { set in
                let (host, name) = (set.host, set.name)
                try host.ok("import", "-q", try Fixtures.busyboxTar(), name)
                // Not signed: refused, and nothing is kept.
                try host.ok("push", "-q", name, name)
                try host.ok("rmi", name)
                let before = try set.contents()
                for verb in [["pull", "-q"], ["run", "--rm"], ["create"]] {
                    let refused = try ProgramRun.run(
                        host.command + verb + [
                            "--registries.d", host.path("registries.d"), "--signature-policy",
                            host.path("gpg.json"), name,
                        ], environment: set.environment)
                    #expect(refused.exit == 125, "\(refused)")
                    #expect(
                        refused.errorText.contains(
                            "signedBy, required by the scope \"\(set.registry.address)\" of docker"))
                    #expect(refused.errorText.contains("has no GPG signature"))
                }
                #expect(try set.contents() == before)
                // Ours signs, skopeo accepts.
                try host.ok("pull", "-q", "--insecure-policy", name)
                let pushed = try set.apus("push", "-q", "--sign-by", "alice@example.com", name)
                #expect(pushed.exit == 0, "\(pushed)")
                let theirs = try set.skopeo(
                    "--policy", host.path("gpg.json"), "copy", "--src-tls-verify=false", "-q",
                    "docker://\(name)", "dir:\(host.path("theirs"))")
                #expect(theirs.exit == 0, "\(theirs)")
                #expect(File.exists(host.path("theirs/signature-1")))
                let ours = try set.apus("pull", "-q", name, policy: "gpg")
                #expect(ours.exit == 0, "\(ours)")
                // Under another tag it is another image.
                try ProgramRun.tool(
                    "skopeo", "copy", "--insecure-policy", "--remove-signatures", "--src-tls-verify=false",
                    "--dest-tls-verify=false", "-q", "docker://\(name)",
                    "docker://\(set.registry.address)/signed/app:2")
                let other = try set.apus("pull", "-q", "\(set.registry.address)/signed/app:2", policy: "gpg")
                #expect(
                    other.exit == 125 && other.errorText.contains("not accepted for this image"), "\(other)")
                // By its digest it is the same one.
                let digest = try ProgramRun.tool(
                    "skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", "docker://\(name)")
                let byDigest = "\(set.registry.address)/signed/app@\(digest)"
                #expect(try set.apus("pull", "-q", byDigest, policy: "gpg").exit == 0)
                // skopeo signs, ours accepts.
                try File.removeTree(host.path("sigs"))
                #expect(try set.apus("pull", "-q", name, policy: "gpg").exit == 125)
                let signed = try set.skopeo(
                    "copy", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false", "-q",
                    "--sign-by", "alice@example.com", "docker://\(name)", "docker://\(name)")
                #expect(signed.exit == 0, "\(signed)")
                #expect(try set.apus("pull", "-q", name, policy: "gpg").exit == 0)
                // `image sign` puts a second one beside it.
                let sign = try ProgramRun.run(
                    [
                        Programs.apus, "image", "sign", "--registries.d", host.path("registries.d"),
                        "--sign-by",
                        "alice@example.com", "docker://\(name)",
                    ], environment: set.environment)
                #expect(sign.exit == 0, "\(sign)")
                let place = host.path("sigs/signed/app@\(digest.replacing(":", with: "="))")
                #expect(try File.names(in: place).sorted() == ["signature-1", "signature-2"])
                // One that is cut, and one that is huge.
                let bytes = try File.read("\(place)/signature-1")
                try File.unlink("\(place)/signature-2")
                try File.replace("\(place)/signature-1", with: Array(bytes.dropLast(20)), durable: false)
                #expect(try set.apus("pull", "-q", name, policy: "gpg").exit == 125)
                try ProgramRun.tool("truncate", "-s", "3G", "\(place)/signature-1")
                let huge = try set.apus("pull", "-q", name, policy: "gpg")
                #expect(huge.exit == 125 && huge.errorText.contains("file too large"), "\(huge)")
                // Who does not ask for signatures does not read them.
                #expect(try set.apus("pull", "-q", name).exit == 0)
            }
        }

        @Test("manifests in files: what each signs, the other verifies", .needs("skopeo", "gpg"))
        func standaloneSignatures() throws {
            try Self.with { set in
                let host = set.host
                let manifest = try host.write(#"{"schemaVersion":2}"#, to: "manifest.json")
                let key = try set.tool("gpg", "--batch", "--with-colons", "-k", "alice@example.com")
                    .split(separator: "\n").first { $0.hasPrefix("fpr:") }!.split(separator: ":").last!
                let fingerprint = String(key)
                let name = "registry.example/app:1"
                func run(_ program: String, _ arguments: String...) throws -> Finished {
                    try ProgramRun.run([program] + arguments, environment: set.environment)
                }
                let digest = try run("skopeo", "manifest-digest", manifest).text
                #expect(try run(Programs.apus, "manifest-digest", manifest).text == digest)
                for (signs, verifies) in [(Programs.apus, "skopeo"), ("skopeo", Programs.apus)] {
                    let signature = host.path("signature-by-\(signs == "skopeo")")
                    let signed = try run(
                        signs, "standalone-sign", "-o", signature, manifest, name, fingerprint)
                    #expect(signed.exit == 0, "\(signed)")
                    let verified = try run(
                        verifies, "standalone-verify", manifest, name, fingerprint, signature)
                    #expect(verified.exit == 0 && verified.text.hasSuffix("digest \(digest)"), "\(verified)")
                    for wrong in [
                        [manifest, "registry.example/app:2", fingerprint, signature],
                        [signature, name, fingerprint, signature], [manifest, name, fingerprint, manifest],
                        [manifest, name, String(fingerprint.reversed()), signature],
                    ] {
                        let refused = try ProgramRun.run(
                            [Programs.apus, "standalone-verify"] + wrong, environment: set.environment)
                        #expect(refused.exit == 1 && !refused.errorText.isEmpty, "\(refused)")
                    }
                    let byFile = try run(
                        Programs.apus, "standalone-verify", "--public-key-file", host.path("alice.gpg"),
                        manifest, name, "any", signature)
                    #expect(byFile.exit == 0, "\(byFile)")
                }
            }
        }

        @Test(
            "sigstore: a pair of keys, and signatures beside the image",
            .needs("docker-registry", "skopeo", "openssl"))
        func sigstore() throws {
            try Self.with { set in
                let (host, name) = (set.host, set.name)
                try set.makeKey("ours")
                try set.makeKey("other")
                for key in ["ours", "other"] {
                    try set.policy(
                        key,
                        requirement: #"{"type":"sigstoreSigned","keyPath":"\#(host.path("\(key).pub"))"}"#)
                }
                #expect(try File.status(host.path("ours.private")).st_mode & 0o777 == 0o600)
                try host.ok("import", "-q", try Fixtures.busyboxTar(), name)
                let flags = [
                    "--sign-by-sigstore-private-key", host.path("ours.private"), "--sign-passphrase-file",
                    host.path("passphrase"),
                ]
                let pushed = try ProgramRun.run(
                    host.command + ["push", "-q", "--registries.d", host.path("registries.d")]
                        + flags + [name], environment: set.environment)
                #expect(pushed.exit == 0, "\(pushed)")
                for (policy, exit) in [("ours", 0), ("other", 125)] {
                    let pulled = try set.apus("pull", "-q", name, policy: policy)
                    #expect(pulled.exit == Int32(exit), "\(pulled)")
                }
                // A second signature comes beside the first.
                let signed = try set.apus(
                    "copy", "-q", "--remove-signatures", "--sign-by-sigstore-private-key",
                    host.path("other.private"), "--sign-passphrase-file", host.path("passphrase"),
                    "docker://\(name)", "docker://\(name)")
                #expect(signed.exit == 0, "\(signed)")
                for policy in ["ours", "other"] {
                    let pulled = try set.apus("pull", "-q", name, policy: policy)
                    #expect(pulled.exit == 0, "\(pulled)")
                }
                // A copy takes them along, and says where there is no place for them.
                let target = "\(set.registry.address)/signed/copy:1"
                let copied = try set.apus("copy", "-q", "docker://\(name)", "docker://\(target)")
                #expect(copied.exit == 0, "\(copied)")
                let moved = try set.apus("pull", "-q", target, policy: "ours")
                #expect(moved.exit == 125 && moved.errorText.contains("which is not accepted"), "\(moved)")
                let layout = try set.apus("copy", "-q", "docker://\(name)", "oci:\(host.path("l")):1")
                #expect(layout.exit == 1 && layout.errorText.contains("--remove-signatures"), "\(layout)")
                #expect(
                    try set.apus(
                        "copy", "-q", "--remove-signatures", "docker://\(name)", "oci:\(host.path("l")):1"
                    ).exit == 0)
                let directory = try set.apus("copy", "-q", "docker://\(name)", "dir:\(host.path("dir"))")
                #expect(directory.exit == 0, "\(directory)")
                let names = try File.names(in: host.path("dir")).filter { $0.hasPrefix("signature-") }
                #expect(names.count == 2)
                // What openssl(1) says of it. (Debian's skopeo was built without sigstore.)
                let file = try File.read(host.path("dir/signature-1"))
                let json = try JSON(parsing: Array(file.drop { $0 != 0x0A }.dropFirst()))
                _ = try host.write(try #require(json["payload"]?.string), to: "payload.b64")
                let text = json["annotations"]?["dev.cosignproject.cosign/signature"]?.string
                _ = try host.write(try #require(text), to: "sig.b64")
                try ProgramRun.tool(
                    "sh", "-euc",
                    """
                    cd \(host.path(""))
                    base64 -d payload.b64 >payload; base64 -d sig.b64 >sig
                    openssl dgst -sha256 -verify ours.pub -signature sig payload
                    """)
                // Wrong passphrase, no passphrase: nothing is pushed.
                _ = try host.write("wrong\n", to: "passphrase")
                let wrong = try ProgramRun.run(
                    host.command + ["push", "-q"] + flags + [
                        name, "\(set.registry.address)/signed/wrong:1",
                    ], environment: set.environment)
                #expect(wrong.exit == 125 && wrong.errorText.contains("the passphrase is wrong"), "\(wrong)")
            }
        }

        @Test("every way in asks the policy", .needs("docker-registry", "skopeo"))
        func everyWay() throws {
            try Self.with { set in
                let (host, name) = (set.host, set.name)
                try host.ok("import", "-q", try Fixtures.busyboxTar(), name)
                try host.ok("push", "-q", name, name)
                let places = [
                    "oci:\(host.path("layout")):1", "oci-archive:\(host.path("o.tar")):1",
                    "docker-archive:\(host.path("d.tar")):app:1", "dir:\(host.path("dir"))",
                ]
                for place in places { try host.ok("push", "-q", name, place) }
                try host.ok("rmi", name)
                let before = try set.contents()
                for place in places + ["docker://\(name)"] {
                    let pulled = try set.apus("pull", "-q", place, policy: "reject")
                    #expect(
                        pulled.exit == 125 && pulled.errorText.contains("reject, required by"), "\(pulled)")
                    let target = host.path("target")
                    let copied = try set.apus("copy", "-q", place, "dir:\(target)", policy: "reject")
                    #expect(copied.exit == 1 && copied.errorText.contains("reject, required by"), "\(copied)")
                    #expect(!File.exists(target))
                }
                for file in ["o.tar", "d.tar", "layout", "dir"] {
                    let loaded = try set.apus("load", "-q", "-i", host.path(file), policy: "reject")
                    #expect(
                        loaded.exit == 125 && loaded.errorText.contains("reject, required by"), "\(loaded)")
                }
                #expect(try set.contents() == before)
                // A policy that is none stops everything.
                _ = try host.write(
                    #"{"default":[{"type":"insecureAcceptAnything","more":1}]}"#, to: "odd.json")
                let odd = try set.apus("pull", "-q", name, policy: "odd")
                #expect(odd.exit == 125 && odd.errorText.contains("more: is no key that we know"), "\(odd)")
                let missing = try set.apus("pull", "-q", name, policy: "none")
                #expect(missing.exit == 125 && missing.errorText.contains("no such file"), "\(missing)")
                #expect(try set.contents() == before)
            }
        }

        @Test("trust set and show, as podman's", .needs("podman", "gpg", "docker-registry"))
        func trustCommands() throws {
            try Self.with { set in
                let host = set.host
                let path = host.path("p.json")
                func trust(_ arguments: String...) throws -> Finished {
                    try ProgramRun.run([Programs.apus, "image", "trust"] + arguments)
                }
                func change(_ arguments: String...) throws -> Int32 {
                    try ProgramRun.run(
                        [Programs.apus, "image", "trust", "set", "--signature-policy", path] + arguments
                    ).exit
                }
                #expect(try change("-t", "reject", "h.x/a") == 125)
                #expect(try change("-t", "accept", "default") == 0)
                #expect(try change("-t", "reject", "h.x:5000") == 0)
                #expect(try change("-f", host.path("alice.gpg"), "h.x:5000/ns/app") == 0)
                #expect(try change("h.x:5000/ns") == 125)
                #expect(try change("-f", "/nowhere", "h.x:5000/ns") == 125)
                #expect(try change("-t", "accept", "a b") == 125)
                let shown = try trust("show", "--signature-policy", path, "--registrypath", host.path("none"))
                let theirs = try ProgramRun.run([
                    "podman", "image", "trust", "show", "--policypath", path, "--registrypath",
                    host.path("none"),
                ])
                func lines(_ text: String) -> [String] {
                    text.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
                        .sorted()
                }
                // podman looks for the keys' owners by gpg2, which Debian does not have.
                #expect(
                    lines(shown.text.replacing(" alice@example.com", with: "")) == lines(theirs.text),
                    "\(shown) \(theirs)")
                #expect(shown.text.contains("alice@example.com"))
                let json = try JSON(
                    parsing: Array(
                        trust("show", "-j", "--signature-policy", path, "h.x:5000/ns").text.utf8))
                #expect(json.array?.count == 1 && json.array?[0]["gpg_id"]?.string == "alice@example.com")
                #expect(try trust("show", "--raw", "--signature-policy", path).text.contains("\"GPGKeys\""))
            }
        }
    }
}
