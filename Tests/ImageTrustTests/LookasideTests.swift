import LayerArchive
import LinuxSystem
import Testing

@testable import ImageTrust

@Suite struct LookasideTests {
    private let digest = Digest.sha256(of: manifest)
    private let one = ImageSignature.simple([0x90, 1, 2])
    private let two = ImageSignature.sigstore(
        SigstoreSignature(mediaType: "m", payload: [1, 2], annotations: ["a": "b"]))

    @Test func files() throws {
        for signature in [one, two] {
            #expect(try ImageSignature(fileContents: signature.fileContents) == signature)
        }
        for bad in [
            "", "hello", "\u{0}", "\u{0}simple-signing", "\u{0}other\nx", "\u{0}sigstore-json\n{", "<html>",
        ] {
            #expect(throws: TrustError.self) { try ImageSignature(fileContents: Array(bad.utf8)) }
        }
    }

    @Test func directory() throws {
        let fixtures = try TrustFixtures()
        let place = SignatureDirectory(fixtures.file("a/b"), repository: "ns/app", manifest: digest)
        #expect(try place.read() == [])
        try place.append(one)
        try place.append(two)
        #expect(try place.read() == [one, two])
        #expect(File.exists(fixtures.file("a/b/ns/app@sha256=\(digest.hex)/signature-2")))
        try place.replace(with: [two])
        #expect(try place.read() == [two])
        #expect(
            try SignatureDirectory(fixtures.file("a/b"), repository: "ns", manifest: digest).read() == [])
        // What a killed writer left goes with the next one.
        try fixtures.write("a/b/ns/app@sha256=\(digest.hex)/signature-9.1-1.tmp", "x")
        try place.append(one)
        #expect(
            try File.names(in: fixtures.file("a/b/ns/app@sha256=\(digest.hex)")).sorted()
                == ["signature-1", "signature-2"])
    }

    /// With files without end, many and many large ones, too (CVE-2023-33957, CVE-2023-33958,
    /// CVE-2024-29902, CVE-2024-29903).
    @Test("nothing outside is read or written, no pipe or device is opened, nothing huge is taken")
    func hostile() throws {
        let fixtures = try TrustFixtures()
        let base = fixtures.file("base")
        let inside = "\(base)/ns/app@sha256=\(digest.hex)"
        try fixtures.shell("mkdir -p \(inside) outside; printf '\\220\\001' >outside/signature-1")
        let place = SignatureDirectory(base, repository: "ns/app", manifest: digest)
        func fails() -> String {
            do {
                return "\(try place.read().count) signatures"
            } catch {
                return "refused: \(error)"
            }
        }
        try fixtures.shell("ln -s ../../../outside/signature-1 \(inside)/signature-1")
        #expect(fails().contains("leads out of it"))
        try fixtures.shell("ln -sf \(fixtures.path)/outside/signature-1 \(inside)/signature-1")
        #expect(fails().hasPrefix("refused"))
        try fixtures.shell("rm \(inside)/signature-1; mkfifo \(inside)/signature-1")
        #expect(fails().hasPrefix("refused"))
        try fixtures.shell("rm \(inside)/signature-1; mkdir \(inside)/signature-1")
        #expect(fails().hasPrefix("refused"))
        try fixtures.shell("rmdir \(inside)/signature-1; truncate -s 1G \(inside)/signature-1")
        #expect(fails().contains("file too large"))
        try fixtures.shell(
            "rm \(inside)/signature-1; for i in $(seq 1 200); do cp outside/signature-1 \(inside)/signature-$i; done"
        )
        #expect(fails().contains("more than 128"))
        try fixtures.shell(
            "truncate -s 4M outside/signature-1; rm \(inside)/*; for i in 1 2 3 4 5; do cp outside/signature-1 \(inside)/signature-$i; done; truncate -s 2 outside/signature-1"
        )
        #expect(fails().contains("more than 16777216 bytes of all"))
        // A link in place of the directory, and one in place of the file.
        try fixtures.shell("rm -r \(inside); ln -s \(fixtures.path)/outside \(inside)")
        #expect(throws: TrustError.self) { try place.replace(with: [one]) }
        #expect(throws: TrustError.self) { try place.append(one) }
        #expect(try fixtures.read("outside/signature-1") == [0x90, 1])
        try fixtures.shell(
            "rm \(inside); mkdir \(inside); ln -s \(fixtures.path)/outside/signature-1 \(inside)/signature-1")
        try place.replace(with: [one])
        #expect(try place.read() == [one])
        #expect(try fixtures.read("outside/signature-1") == [0x90, 1])
    }

    @Test func registriesDirectory() throws {
        let fixtures = try TrustFixtures()
        try fixtures.shell("mkdir d")
        #expect(
            try SignaturePlaces.load(fixtures.file("none")).lookaside(
                for: reference("h.x/a:1"), writing: false)
                == .directory("/var/lib/containers/sigstore", repository: "a"))
        try fixtures.write(
            "d/one.yaml",
            """
            default-docker:
              sigstore: file:///var/sigs
              sigstore-staging: file:///var/stage%20d
            docker:
              h.x:5000:
                lookaside: https://sigs.h.x/top
                use-sigstore-attachments: true
              h.x:5000/ns/app:
                lookaside-staging: file:///srv/app
            """)
        try fixtures.write("d/two.yaml", "docker:\n  h.x:5000/ns/off:\n    use-sigstore-attachments: false\n")
        try fixtures.write("d/ignored.conf", "}")
        let places = try SignaturePlaces.load(fixtures.file("d"))
        func place(_ name: String, _ writing: Bool) throws -> Lookaside {
            try places.lookaside(for: reference(name), writing: writing)
        }
        #expect(try place("other.x/a:1", false) == .directory("/var/sigs", repository: "a"))
        #expect(try place("other.x/a:1", true) == .directory("/var/stage d", repository: "a"))
        #expect(try place("h.x:5000/a:1", false) == .web("https://sigs.h.x/top", repository: "a"))
        #expect(try place("h.x:5000/ns/app:1", true) == .directory("/srv/app", repository: "ns/app"))
        #expect(try place("h.x:5000/ns/app:1", false) == .web("https://sigs.h.x/top", repository: "ns/app"))
        #expect(places.usesAttachments(for: reference("h.x:5000/ns/app:1")))
        #expect(!places.usesAttachments(for: reference("h.x:5000/ns/off:1")))
        #expect(!places.usesAttachments(for: reference("h.x/ns/app:1")))
        for bad in [
            "docker:\n  h.x:5000:\n    lookaside: file:///x\n", "default-docker:\n  lookaside: file:///x\n",
            "docker: 1\n",
            "docker:\n  z:\n    lookaside: [1]\n", "{", "docker:\n  z:\n    use-sigstore-attachments: 7\n",
        ] {
            try fixtures.write("d/three.yaml", bad)
            #expect(throws: TrustError.self, "\(bad)") { try SignaturePlaces.load(fixtures.file("d")) }
        }
        try fixtures.write(
            "d/three.yaml", "docker:\n  z.x:\n    lookaside: ftp://x/\n  y.x:\n    lookaside: file://host/x\n"
        )
        let strange = try SignaturePlaces.load(fixtures.file("d"))
        #expect(throws: TrustError.self) { try strange.lookaside(for: reference("z.x/a:1"), writing: false) }
        #expect(throws: TrustError.self) { try strange.lookaside(for: reference("y.x/a:1"), writing: false) }
    }

    @Test func policyChanges() throws {
        let fixtures = try TrustFixtures()
        let path = fixtures.file("policy.json")
        func set(_ scope: String, _ type: String, _ keys: [String] = []) throws {
            try PolicyChange(scope: scope, type: type, keyPaths: keys).apply(to: path)
        }
        #expect(throws: TrustError.self) { try set("h.x/a", "reject") }
        #expect(!File.exists(path))
        try set("default", "insecureAcceptAnything")
        try set("h.x/a", "signedBy", ["/k1", "/k2"])
        try set("h.x/b", "sigstoreSigned", ["/k3"])
        try set("h.x/a", "signedBy", ["/k4"])
        let entries = try PolicyFile(path).entries(places: SignaturePlaces.load(fixtures.file("none")))
        #expect(entries.map(\.name) == ["default", "h.x/a", "h.x/b"])
        #expect(entries.map(\.type) == ["accept", "signed", "sigstoreSigned"])
        #expect(throws: TrustError.self) { try set("h.x/c", "signedBy") }
        #expect(throws: TrustError.self) { try set("h.x/c", "reject", ["/k"]) }
        let before = try fixtures.read("policy.json")
        try fixtures.write("policy.json", #"{"default":[{"type":"reject","more":1}]}"#)
        #expect(throws: TrustError.self) { try set("h.x/c", "reject") }
        #expect(try fixtures.read("policy.json") != before)
    }
}
