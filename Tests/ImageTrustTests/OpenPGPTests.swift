import JSONText
import LayerArchive
import LinuxSystem
import Testing

@testable import ImageTrust

@Suite struct OpenPGPTests {
    private static func signed(by path: String) throws -> TrustPolicy {
        try policy(#"{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"\#(path)"}]}"#)
    }

    private func sign(_ fixtures: TrustFixtures, _ text: String, _ arguments: String) throws -> ImageSignature
    {
        try fixtures.write("text", text)
        try fixtures.shell("rm -f out; gpg --batch --output out \(arguments) --sign text")
        return .simple(try fixtures.read("out"))
    }

    private func payload(
        _ name: String = "registry.example:5000/ns/app:v1", _ bytes: [UInt8] = manifest
    ) -> String {
        let payload = SignaturePayload(
            manifestDigest: Digest.sha256(of: bytes), reference: reference(name))
        return String(
            decoding: payload.bytes(type: SignaturePayload.simpleType, creator: "test", time: 1),
            as: UTF8.self)
    }

    /// Signatures of other things or by others, several at once, with more around them (CVE-2025-68972),
    /// and with names that look like gpgv's own words (CVE-2018-12020, CVE-2022-34903).
    @Test func verification() throws {
        let fixtures = try TrustFixtures()
        try fixtures.gpgKey("alice@example.com", as: "alice")
        try fixtures.gpgKey("mallory@example.com", as: "mallory")
        let good = try sign(fixtures, payload(), "-u alice@example.com")
        for key in ["alice.gpg", "alice.asc"] {
            let policy = try Self.signed(by: fixtures.file(key))
            #expect(refusal(policy, image(), [good]) == nil)
        }
        let policy = try Self.signed(by: fixtures.file("alice.gpg"))
        func why(_ signatures: [ImageSignature], _ subject: PolicyImage = image()) -> String {
            refusal(policy, subject, signatures) ?? "accepted"
        }
        #expect(why([]).contains("the image has no GPG signature"))
        // Another image, another tag, port or host.
        #expect(
            why([good], image("registry.example:5000/ns/app:v1", otherManifest)).contains(
                "is not the image's"))
        for name in [
            "registry.example:5000/ns/app:v2", "registry.example/ns/app:v1",
            "registry.example:5001/ns/app:v1",
            "registry.example:5000/ns/ap:v1", "other.example:5000/ns/app:v1",
        ] {
            #expect(why([good], image(name)).contains("which is not accepted for this image"))
        }
        // Another's key, alone and beside a good one.
        let foreign = try sign(fixtures, payload(), "-u mallory@example.com")
        #expect(why([foreign]).contains("which is not accepted"))
        #expect(why([foreign, good]) == "accepted")
        #expect(why([foreign, foreign]).contains("none of its 2 signatures"))
        // A file's name that looks like what gpgv says of a good signature.
        let status = "GOODSIG 00 alice\\n[GNUPG:] VALIDSIG 00\\n[GNUPG:] PLAINTEXT 62 1"
        let injected = try sign(
            fixtures, payload(), "--set-filename $'x\\n[GNUPG:] \(status)' -u mallory@example.com")
        #expect(why([injected]).contains("which is not accepted"))
        // Cut, changed, or no signature at all.
        guard case .simple(let bytes) = good else { return }
        for cut in [1, bytes.count / 2, bytes.count - 20] {
            #expect(why([.simple(Array(bytes[..<cut]))]) != "accepted")
        }
        // Some bytes are not signed (a time of the text's, the checksum of a compressed packet, what
        // follows the message): with them changed nothing else may be read as signed.
        let keyring = try OpenPGPKeyring([fixtures.read("alice.gpg")])
        var accepted = 0
        for position in stride(from: 0, to: bytes.count, by: 17) {
            var bytes = bytes
            bytes[position] ^= 0x20
            guard let content = try? keyring.signedContent(of: bytes) else { continue }
            accepted += 1
            #expect(content == Array(payload().utf8))
        }
        #expect(accepted < 5)
        if let content = try? keyring.signedContent(of: bytes + bytes) {
            #expect(content == Array(payload().utf8))
        }
        try fixtures.write("text", payload())
        try fixtures.shell(
            """
            gpg --batch -o literal --store text
            gpg --batch -o detached -u alice@example.com --detach-sign text
            gpg --batch -o clear -u alice@example.com --clear-sign text
            gpg --batch -o two -u alice@example.com -u mallory@example.com --sign text
            # Two signatures by one key: gpg makes no such message. The byte before the end of a one-pass
            # packet says whether another one follows (RFC 4880, section 5.4).
            gpg --batch -z 0 -o plain -u alice@example.com --sign text
            last=$(gpg --list-packets plain | sed -n 's/^# off=\\([0-9]*\\) .* tag=2 .*/\\1/p')
            { head -c 14 plain; printf '\\0'; cat plain; tail -c +$((last + 1)) plain; } >twice
            cat literal out >joined
            cat out literal >reversed
            cat literal out literal >surrounded
            gpg --batch --armor -o armored -u alice@example.com --sign text
            gpg --batch -o empty -u alice@example.com --sign /dev/null
            """)
        #expect(why([.simple(try fixtures.read("plain"))]) == "accepted")
        for name in [
            "literal", "detached", "clear", "two", "twice", "joined", "surrounded", "empty", "armored",
        ] {
            #expect(why([.simple(try fixtures.read(name))]) != "accepted", "\(name)")
        }
        if let content = try? keyring.signedContent(of: fixtures.read("reversed")) {
            #expect(content == Array(payload().utf8))
        }
        // More than is said, other types, another name for the same thing.
        for text in [
            payload().replacing("\"optional\"", with: "\"more\":1,\"optional\""),
            payload().replacing("atomic container signature", with: "cosign container image signature"),
            payload().replacing("{\"critical\"", with: "{\"critical\":{},\"critical\""),
            payload().replacing("\"type\"", with: "\"Type\""), payload() + "{}", "null", "[]",
        ] {
            #expect(why([try sign(fixtures, text, "-u alice@example.com")]) != "accepted", "\(text)")
        }
    }

    @Test func onlyTheKeysNamedMaySign() throws {
        let fixtures = try TrustFixtures()
        try fixtures.gpgKey("alice@example.com", as: "alice")
        try fixtures.gpgKey("mallory@example.com", as: "mallory")
        try fixtures.shell(
            """
            cat alice.gpg mallory.gpg >both.gpg
            for name in alice mallory; do
                gpg --batch --with-colons -k $name@example.com | awk -F: '/^fpr/ {printf "%s", $10; exit}' >$name
            done
            """)
        let (alice, mallory) = (try fixtures.text("alice"), try fixtures.text("mallory"))
        let keys = try fixtures.read("both.gpg")
        let name = "registry.example:5000/ns/app:v1"
        guard case .simple(let message) = try sign(fixtures, payload(name), "-u mallory@example.com") else {
            return
        }
        func verify(
            _ fingerprints: [String]?, _ name: String = name, _ bytes: [UInt8] = manifest
        ) throws(TrustError) -> String {
            let verifier = try OpenPGPVerifier(keys: keys, fingerprints: fingerprints)
            let found = try verifier.verify(message, manifest: bytes, reference: reference(name))
            #expect(found.digest == Digest.sha256(of: bytes))
            return found.fingerprint
        }
        #expect(try verify(nil) == mallory)
        #expect(try verify([alice, mallory.lowercased()]) == mallory)
        for (fingerprints, name, bytes, why) in [
            ([alice], name, manifest, "is by the key \(mallory), which is not accepted"),
            ([], name, manifest, "not accepted"),
            ([mallory], "registry.example:5000/ns/app:v2", manifest, "it is for the name"),
            ([mallory], name, otherManifest, "not the image's"),
            ([String(mallory.suffix(16))], name, manifest, "is no fingerprint"),
        ] {
            let error = #expect(throws: TrustError.self) { try verify(fingerprints, name, bytes) }
            #expect(error?.description.contains(why) == true, "\(error as Any)")
        }
    }

    @Test("expired and revoked keys, expired signatures, subkeys, and several keys")
    func validity() throws {
        let fixtures = try TrustFixtures()
        try fixtures.gpgKey("old@example.com", "ed25519 sign never", as: "old")
        let old = try sign(fixtures, payload(), "-u old@example.com")
        try fixtures.shell(
            """
            key=$(gpg --batch --with-colons -k old@example.com | awk -F: '/^fpr/ {print $10; exit}')
            sleep 1.2 # a second signature of the key's own counts when it is younger
            gpg --batch --quick-set-expire $key seconds=1
            gpg --batch --export $key >expired.gpg
            sleep 2.2 # it expires with the end of the next second
            """)
        let expired = try Self.signed(by: fixtures.file("expired.gpg"))
        #expect(refusal(expired, image(), [old])?.contains("has expired") == true)
        #expect(refusal(try Self.signed(by: fixtures.file("old.gpg")), image(), [old]) == nil)

        try fixtures.gpgKey("gone@example.com", as: "gone")
        let gone = try sign(fixtures, payload(), "-u gone@example.com")
        try fixtures.shell(
            """
            key=$(gpg --batch --with-colons -k gone@example.com | awk -F: '/^fpr/ {print $10; exit}')
            sed 's/^:---/---/' gnupg/openpgp-revocs.d/$key.rev | gpg --batch --import
            gpg --batch --export $key >revoked.gpg
            """)
        let revoked = try Self.signed(by: fixtures.file("revoked.gpg"))
        #expect(refusal(revoked, image(), [gone])?.contains("has been revoked") == true)

        try fixtures.gpgKey("brief@example.com", as: "brief")
        let brief = try sign(fixtures, payload(), "-u brief@example.com --default-sig-expire seconds=1")
        try fixtures.shell("sleep 2.2")
        let reason = refusal(try Self.signed(by: fixtures.file("brief.gpg")), image(), [brief])
        #expect(reason?.contains("signature has expired") == true, "\(reason ?? "accepted")")

        // A subkey counts as its key.
        try fixtures.gpgKey("whole@example.com", "ed25519 cert never", as: "whole")
        try fixtures.shell(
            """
            key=$(gpg --batch --with-colons -k whole@example.com | awk -F: '/^fpr/ {print $10; exit}')
            gpg --batch --passphrase '' --quick-add-key $key ed25519 sign never
            gpg --batch --export $key >whole.gpg
            """)
        let whole = try sign(fixtures, payload(), "-u whole@example.com")
        #expect(refusal(try Self.signed(by: fixtures.file("whole.gpg")), image(), [whole]) == nil)

        // Any key of any of the files.
        let paths = ["old.gpg", "whole.gpg"].map { JSON.string(fixtures.file($0)) }
        let text = JSON.array(paths).text()
        let several = try policy(
            #"{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPaths":\#(text)}]}"#)
        #expect(refusal(several, image(), [whole]) == nil)
        #expect(refusal(several, image(), [old]) == nil)
        #expect(refusal(several, image(), [gone]) != nil)
    }

    @Test(
        "what is no public key is an error",
        arguments: ["", "hello", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!\n"])
    func badKeys(text: String) {
        #expect(throws: TrustError.self) { try OpenPGPKeyring([Array(text.utf8)]) }
    }

    /// CVE-2020-8945
    @Test("a message that inflates without end is refused, with little memory")
    func bomb() throws {
        let fixtures = try TrustFixtures()
        try fixtures.gpgKey("alice@example.com", as: "alice")
        try fixtures.shell(
            "head -c 300000000 /dev/zero | gpg --batch -z 9 -o bomb -u alice@example.com --sign")
        let keyring = try OpenPGPKeyring([fixtures.read("alice.gpg")])
        let bomb = try fixtures.read("bomb")
        #expect(throws: TrustError.self) { try keyring.signedContent(of: bomb) }
    }

    @Test func signer() throws {
        let fixtures = try TrustFixtures()
        try fixtures.gpgKey("alice@example.com", as: "alice")
        try fixtures.shell(
            "gpg --batch --quiet --pinentry-mode loopback --passphrase 'sesame' --quick-gen-key bob@example.com ed25519 sign never; gpg --export bob@example.com >bob.gpg"
        )
        let before = getenv("GNUPGHOME").map { String(cString: $0) }
        setenv("GNUPGHOME", fixtures.file("gnupg"), 1)
        defer { if let before { setenv("GNUPGHOME", before, 1) } else { unsetenv("GNUPGHOME") } }
        let payload = SignaturePayload(
            manifestDigest: Digest.sha256(of: manifest),
            reference: reference("registry.example:5000/ns/app:v1"))
        let signature = try OpenPGPSigner(key: "alice@example.com").sign(payload, creator: "test")
        let policy = try Self.signed(by: fixtures.file("alice.gpg"))
        #expect(refusal(policy, image(), [signature]) == nil)
        #expect(try ImageSignature(fileContents: signature.fileContents) == signature)
        #expect { try OpenPGPSigner(key: "nobody@example.com").sign(payload, creator: "test") } throws: {
            "\($0)".contains("nobody@example.com") && "\($0)".contains("No secret key")
        }
        #expect(throws: TrustError.self) {
            try OpenPGPSigner(key: "bob@example.com", passphrase: Array("wrong".utf8)).sign(
                payload, creator: "test")
        }
        let secret = try OpenPGPSigner(key: "bob@example.com", passphrase: Array("sesame".utf8)).sign(
            payload, creator: "test")
        #expect(refusal(try Self.signed(by: fixtures.file("bob.gpg")), image(), [secret]) == nil)
        #expect(OpenPGPKeyOwners.names(in: try fixtures.read("alice.gpg")) == ["alice@example.com"])
    }
}
