import JSONText
import LayerArchive
import LinuxSystem
import Testing

@testable import ImageTrust

private typealias Annotation = SigstoreSignature.Annotation

private func payloadBytes(
    _ name: String = "registry.example:5000/ns/app:v1", _ bytes: [UInt8] = manifest
) -> [UInt8] {
    SignaturePayload(manifestDigest: Digest.sha256(of: bytes), reference: reference(name))
        .bytes(type: SignaturePayload.sigstoreType, creator: "test", time: 1)
}

private func signature(
    _ key: SigstorePrivateKey, _ payload: [UInt8], _ annotations: [String: String] = [:]
) throws -> ImageSignature {
    var annotations = annotations
    annotations[Annotation.signature] = Base64.encode(try key.signature(of: payload))
    return .sigstore(
        SigstoreSignature(
            mediaType: SigstoreSignature.payloadMediaType, payload: payload, annotations: annotations))
}

/// Rekor's bundle for a signature.
private func bundle(
    _ rekor: SigstorePrivateKey, _ payload: [UInt8], _ signature: [UInt8], _ signer: String,
    time: Int64
) throws -> String {
    let entry: JSON = [
        "apiVersion": "0.0.1", "kind": "hashedrekord",
        "spec": [
            "data": ["hash": ["algorithm": "sha256", "value": .string(Digest.sha256(of: payload).hex)]],
            "signature": [
                "content": .string(Base64.encode(signature)),
                "publicKey": ["content": .string(Base64.encode(Array(signer.utf8)))],
            ],
        ],
    ]
    // In the order of the canonical form.
    let body: JSON = [
        "body": .string(Base64.encode(entry.bytes())), "integratedTime": .integer(time),
        "logID": .string(String(repeating: "c0", count: 32)), "logIndex": 7,
    ]
    let bundle: JSON = [
        "Payload": body,
        "SignedEntryTimestamp": .string(Base64.encode(try rekor.signature(of: body.bytes()))),
    ]
    return bundle.text()
}

private func annotation(_ signature: ImageSignature, _ name: String) -> String {
    guard case .sigstore(let signature) = signature else { return "" }
    return signature.annotations[name] ?? ""
}

private func changed(_ signature: ImageSignature, _ body: (inout SigstoreSignature) -> Void) -> ImageSignature
{
    guard case .sigstore(var signature) = signature else { return signature }
    body(&signature)
    return .sigstore(signature)
}

private func keyed(_ key: SigstorePrivateKey, _ more: String = "") throws -> TrustPolicy {
    let data = Base64.encode(Array(key.publicText.utf8))
    return try policy(#"{"default":[{"type":"sigstoreSigned","keyData":"\#(data)"\#(more)}]}"#)
}

@Suite struct SigstoreTests {
    /// Signatures for something else, or of another kind (CVE-2022-35929, CVE-2022-35930,
    /// CVE-2026-39395).
    @Test func keys() throws {
        let key = try SigstorePrivateKey.generate()
        let other = try SigstorePrivateKey.generate()
        let policy = try keyed(key)
        let good = try signature(key, payloadBytes())
        #expect(refusal(policy, image(), [good]) == nil)
        #expect(refusal(policy, image(), [try signature(other, payloadBytes()), good]) == nil)
        func why(_ signature: ImageSignature, _ subject: PolicyImage = image()) -> String {
            refusal(policy, subject, [signature]) ?? "accepted"
        }
        #expect(refusal(policy, image(), [.simple([0x90, 1])])?.contains("and 1 of another kind") == true)
        #expect(why(try signature(other, payloadBytes())).contains("not by an accepted key"))
        #expect(
            why(good, image("registry.example:5000/ns/app:v1", otherManifest)).contains("not the image's"))
        #expect(why(good, image("registry.example:5000/ns/app:v2")).contains("not accepted for this image"))
        #expect(why(good, image("registry.example/ns/app:v1")).contains("not accepted for this image"))
        // What cosign writes: a repository without a tag, and null.
        let cosign = Array(
            #"{"critical":{"identity":{"docker-reference":"registry.example:5000/ns/app"},"image":{"docker-manifest-digest":"\#(Digest.sha256(of: manifest))"},"type":"cosign container image signature"},"optional":null}"#
                .utf8)
        #expect(why(try signature(key, cosign)).contains("not accepted for this image"))
        #expect(
            refusal(
                try keyed(key, #","signedIdentity":{"type":"matchRepository"}"#), image(),
                [try signature(key, cosign)])
                == nil)
        for broken in [
            changed(good) { $0.payload.append(0x20) }, changed(good) { $0.payload.removeLast() },
            changed(good) { $0.annotations[Annotation.signature]?.removeLast() },
            changed(good) { $0.annotations[Annotation.signature] = "" },
            changed(good) { $0.annotations = [:] },
            changed(good) { $0.mediaType = "application/json" },
            try signature(key, []), try signature(key, Array("{}".utf8)),
            try signature(key, Array(#"{"critical":{},"critical":{},"optional":{}}"#.utf8)),
        ] {
            #expect(why(broken) != "accepted")
        }
        // Simple signing's type does not pass for this.
        let simple = SignaturePayload(
            manifestDigest: Digest.sha256(of: manifest),
            reference: reference("registry.example:5000/ns/app:v1")
        ).bytes(type: SignaturePayload.simpleType, creator: "test", time: 1)
        #expect(why(try signature(key, simple)) != "accepted")
    }

    @Test("keys of openssl's, of several kinds")
    func opensslKeys() throws {
        let fixtures = try TrustFixtures()
        try fixtures.shell(
            """
            openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key
            openssl ecparam -name secp384r1 -genkey -noout -out ec.key
            openssl genpkey -algorithm ed25519 -out ed.key
            for k in rsa ec ed; do openssl pkey -in $k.key -pubout -out $k.pub; done
            printf %s '\(String(decoding: payloadBytes(), as: UTF8.self))' >payload
            openssl dgst -sha256 -sign rsa.key -out rsa.sig payload
            openssl dgst -sha256 -sign ec.key -out ec.sig payload
            openssl pkeyutl -sign -rawin -inkey ed.key -in payload -out ed.sig
            """)
        for kind in ["rsa", "ec", "ed"] {
            let text = Base64.encode(try fixtures.read("\(kind).sig"))
            let signature = ImageSignature.sigstore(
                SigstoreSignature(
                    mediaType: SigstoreSignature.payloadMediaType, payload: try fixtures.read("payload"),
                    annotations: [Annotation.signature: text]))
            for other in ["rsa", "ec", "ed"] {
                let policy = try policy(
                    #"{"default":[{"type":"sigstoreSigned","keyPath":"\#(fixtures.file("\(other).pub"))"}]}"#)
                #expect((refusal(policy, image(), [signature]) == nil) == (kind == other), "\(kind) \(other)")
            }
        }
    }

    @Test func encryptedKeys() throws {
        let key = try SigstorePrivateKey.generate()
        let passphrase = Array("correct horse".utf8)
        for secret in [passphrase, []] {
            let text = try key.encrypted(passphrase: secret)
            let again = try SigstorePrivateKey(encrypted: Array(text.utf8), passphrase: secret, name: "k")
            #expect(again.publicText == key.publicText)
            #expect {
                try SigstorePrivateKey(encrypted: Array(text.utf8), passphrase: [1], name: "k")
            } throws: {
                "\($0)".contains("the passphrase is wrong")
            }
        }
        let block = try #require(PEM.blocks(Array(try key.encrypted(passphrase: passphrase).utf8))?.first)
        let json = String(decoding: block.bytes, as: UTF8.self)
        for (old, new) in [
            ("32768", "1073741824"), ("\"r\":8", "\"r\":80000"), ("\"p\":1", "\"p\":1000000"),
            ("scrypt", "none"), ("nacl/secretbox", "none"), ("\"salt\":\"", "\"salt\":\"!"),
            ("\"nonce\":\"", "\"nonce\":\"AAAA"),
        ] {
            let bad = PEM.text(
                PEM.Block(label: block.label, bytes: Array(json.replacing(old, with: new).utf8)))
            #expect(throws: TrustError.self, "\(new)") {
                try SigstorePrivateKey(encrypted: Array(bad.utf8), passphrase: passphrase, name: "k")
            }
        }
        #expect(throws: TrustError.self) {
            try SigstorePrivateKey(encrypted: Array(key.publicText.utf8), passphrase: [], name: "k")
        }
    }

    /// Entries for another payload, signature or key (CVE-2022-23649, CVE-2022-36056, CVE-2024-51746,
    /// CVE-2026-22703).
    @Test("a key that Rekor must have logged")
    func keyWithRekor() throws {
        let key = try SigstorePrivateKey.generate()
        let other = try SigstorePrivateKey.generate()
        let rekor = try SigstorePrivateKey.generate()
        let rekorData = Base64.encode(Array(rekor.publicText.utf8))
        let policy = try keyed(key, #","rekorPublicKeyData":"\#(rekorData)""#)
        let payload = payloadBytes()
        let bare = try signature(key, payload)
        let bytes = try #require(Base64.decode(annotation(bare, Annotation.signature)))
        func with(_ bundle: String) -> ImageSignature {
            changed(bare) { $0.annotations[Annotation.bundle] = bundle }
        }
        let entry = try bundle(rekor, payload, bytes, key.publicText, time: 1_700_000_000)
        #expect(refusal(policy, image(), [with(entry)]) == nil)
        for (bad, reason) in [
            (bare, "has no annotation"), (with(""), "verify Rekor's entry"),
            (with("{}"), "verify Rekor's entry"),
            (with(try bundle(other, payload, bytes, key.publicText, time: 1)), "not by a key of Rekor"),
            (with(entry.replacing("1700000000", with: "1700000001")), "not by a key of Rekor"),
            (with(entry.replacing("\"logIndex\":7", with: "\"logIndex\":7.0")), "whole number"),
            (with(entry.replacing("\"logIndex\":7", with: "\"logIndex\":7,\"x\":1")), "no key that we know"),
            (with(try bundle(rekor, payload + [0x20], bytes, key.publicText, time: 1)), "another payload"),
            (with(try bundle(rekor, payload, bytes + [0], key.publicText, time: 1)), "another signature"),
            (with(try bundle(rekor, payload, bytes, other.publicText, time: 1)), "another key"),
        ] {
            let why = refusal(policy, image(), [bad]) ?? "accepted"
            #expect(why.contains(reason), "\(why)")
        }
    }

    /// A root, an intermediate authority, and certificates for a key that we keep.
    private static let authority = """
        openssl ecparam -name prime256v1 -genkey -noout -out root.key
        openssl req -x509 -new -key root.key -subj /O=test/CN=root -days 3650 -out root.pem \
          -addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign
        openssl ecparam -name prime256v1 -genkey -noout -out middle.key
        printf 'basicConstraints=critical,CA:true,pathlen:0\\nkeyUsage=critical,keyCertSign\\nextendedKeyUsage=codeSigning\\n' >middle.ext
        openssl req -new -key middle.key -subj /CN=middle -out middle.csr
        openssl x509 -req -in middle.csr -CA root.pem -CAkey root.key -CAcreateserial -days 3000 -extfile middle.ext -out middle.pem
        openssl x509 -req -in middle.csr -CA root.pem -CAkey root.key -CAcreateserial -days 1 -extfile middle.ext -out brief.pem
        cat middle.pem root.pem >chain.pem
        openssl ecparam -name prime256v1 -genkey -noout -out leaf.key
        openssl pkey -in leaf.key -pubout -out leaf.pub
        openssl req -new -key leaf.key -subj / -out leaf.csr
        leaf() { # name SAN EKU extension [days]
          printf "keyUsage=critical,digitalSignature\\nextendedKeyUsage=$3\\nsubjectAltName=critical,$2\\n$4\\n" >leaf.ext
          openssl x509 -req -in leaf.csr -CA middle.pem -CAkey middle.key -CAcreateserial -extfile leaf.ext -days ${5:-1} -out $1.pem
        }
        v1='1.3.6.1.4.1.57264.1.1=DER:68:74:74:70:73:3a:2f:2f:69:73:73:75:65:72' # https://issuer
        v2='1.3.6.1.4.1.57264.1.8=ASN1:UTF8String:https://issuer'
        other='1.3.6.1.4.1.57264.1.8=ASN1:UTF8String:https://other'
        leaf good email:alice@example.com codeSigning "$v1\\n$v2"
        leaf old email:alice@example.com codeSigning "$v1"
        leaf new email:bob@example.com,email:alice@example.com codeSigning "$v2"
        leaf long email:alice@example.com codeSigning "$v1" 1000
        leaf bob email:bob@example.com codeSigning "$v1\\n$v2"
        leaf uri URI:alice@example.com codeSigning "$v1"
        leaf issuer email:alice@example.com codeSigning "$other"
        leaf two email:alice@example.com codeSigning "$v1\\n$other"
        leaf none email:alice@example.com codeSigning ""
        leaf server email:alice@example.com serverAuth "$v1"
        printf 'subjectAltName=email:alice@example.com,DNS:*.example.com' >leaf.ext
        openssl x509 -req -in leaf.csr -CA middle.pem -CAkey middle.key -CAcreateserial -extfile leaf.ext -days 1 -out any.pem
        leaf host DNS:build.example.com codeSigning ""
        openssl ecparam -name prime256v1 -genkey -noout -out evil.key
        openssl req -x509 -new -key evil.key -subj /CN=middle -days 30 -out evil.pem -addext basicConstraints=critical,CA:true
        openssl x509 -req -in leaf.csr -CA evil.pem -CAkey evil.key -CAcreateserial -extfile leaf.ext -days 1 -out forged.pem
        """

    private func leafSignature(
        _ fixtures: TrustFixtures, _ payload: [UInt8], _ certificate: String
    ) throws -> (ImageSignature, [UInt8]) {
        try File.replace(fixtures.file("payload"), with: payload, durable: false)
        try fixtures.shell("openssl dgst -sha256 -sign leaf.key -out sig payload")
        let bytes = try fixtures.read("sig")
        let signature = SigstoreSignature(
            mediaType: SigstoreSignature.payloadMediaType, payload: payload,
            annotations: [
                Annotation.signature: Base64.encode(bytes),
                Annotation.certificate: try fixtures.text("\(certificate).pem"),
                Annotation.chain: try fixtures.text("chain.pem"),
            ])
        return (.sigstore(signature), bytes)
    }

    /// Certificates of others, or of authorities that are no more; and entries of Rekor for something
    /// else (CVE-2026-24122, CVE-2025-29778, CVE-2022-23649, CVE-2022-36056, CVE-2024-51746,
    /// CVE-2026-22703).
    @Test("keyless: Fulcio's certificate at the time of which Rekor tells")
    func fulcio() throws {
        let fixtures = try TrustFixtures()
        try fixtures.shell(Self.authority)
        let rekor = try SigstorePrivateKey.generate()
        let rekorData = Base64.encode(Array(rekor.publicText.utf8))
        func policy(_ roots: String = "root.pem", _ email: String = "alice@example.com") throws -> TrustPolicy
        {
            try ImageTrustTests.policy(
                #"{"default":[{"type":"sigstoreSigned","fulcio":{"caPath":"\#(fixtures.file(roots))","oidcIssuer":"https://issuer","subjectEmail":"\#(email)"},"rekorPublicKeyData":"\#(rekorData)"}]}"#
            )
        }
        let payload = payloadBytes()
        let now = Int64(time(nil)) + 60
        func why(
            _ certificate: String, at time: Int64? = nil, policy chosen: TrustPolicy? = nil,
            _ change: (inout SigstoreSignature) -> Void = { _ in }
        ) throws -> String {
            let (bare, bytes) = try leafSignature(fixtures, payload, certificate)
            let entry = try bundle(
                rekor, payload, bytes, try fixtures.text("\(certificate).pem"), time: time ?? now)
            let complete = changed(bare) {
                $0.annotations[Annotation.bundle] = entry
                change(&$0)
            }
            return refusal(try chosen ?? policy(), image(), [complete]) ?? "accepted"
        }
        for name in ["good", "old", "new"] { #expect(try why(name) == "accepted", "\(name)") }
        // The intermediate as the root that is trusted.
        #expect(try why("good", policy: policy("middle.pem")) == "accepted")
        for (name, reason) in [
            ("bob", "is for bob@example.com"), ("uri", "is for nobody"), ("issuer", "https://other"),
            ("two", "two issuers"), ("none", "does not say who vouches"), ("server", "not for signing code"),
            ("forged", "verify the certificate"),
        ] {
            let text = try why(name)
            #expect(text.contains(reason), "\(name): \(text)")
        }
        #expect(try why("good", at: now + 90_000).contains("expired"))
        #expect(try why("good", at: now - 90_000).contains("not yet valid"))
        // An intermediate that ends before what it vouches for.
        let brief = try fixtures.text("brief.pem") + fixtures.text("root.pem")
        let ended = now + 2 * 86_400
        #expect(try why("long", at: ended) == "accepted")
        for roots in ["root.pem", "brief.pem"] {
            func whyBrief(_ time: Int64) throws -> String {
                try why("long", at: time, policy: policy(roots)) { $0.annotations[Annotation.chain] = brief }
            }
            #expect(try whyBrief(now) == "accepted")
            #expect(try whyBrief(ended).contains("expired"))
        }
        #expect(try why("good", policy: policy("evil.pem")) != "accepted")
        #expect(try why("good", policy: policy("root.pem", "ALICE@example.com")) != "accepted")
        #expect(try why("good") { $0.annotations[Annotation.chain] = nil } != "accepted")
        #expect(try why("good") { $0.annotations[Annotation.bundle] = nil }.contains("has no annotation"))
        #expect(try why("good") { $0.annotations[Annotation.certificate]? += "x" } != "accepted")
        let other = try fixtures.text("old.pem")
        #expect(try why("good") { $0.annotations[Annotation.certificate] = other }.contains("another key"))
        #expect(try why("good") { $0.annotations[Annotation.certificate]? += other } != "accepted")
    }

    @Test func pki() throws {
        let fixtures = try TrustFixtures()
        try fixtures.shell(Self.authority)
        func why(_ certificate: String, _ subject: String, chain: Bool = true, _ more: String = "") throws
            -> String
        {
            let policy = try ImageTrustTests.policy(
                #"{"default":[{"type":"sigstoreSigned","pki":{"caRootsPath":"\#(fixtures.file("root.pem"))",\#(subject)\#(more)}}]}"#
            )
            let (signature, _) = try leafSignature(fixtures, payloadBytes(), certificate)
            let bare = changed(signature) { if !chain { $0.annotations[Annotation.chain] = nil } }
            return refusal(policy, image(), [bare]) ?? "accepted"
        }
        let host = #""subjectHostname":"build.example.com""#
        let email = #""subjectEmail":"alice@example.com""#
        #expect(try why("host", host) == "accepted")
        #expect(try why("good", email) == "accepted")
        #expect(try why("good", host) != "accepted")
        // One that does not say what it is for, and a wildcard.
        #expect(try why("any", email + "," + host) == "accepted")
        #expect(try why("any", #""subjectHostname":"a.build.example.com""#) != "accepted")
        #expect(try why("good", email + "," + host) != "accepted")
        #expect(try why("good", email, chain: false) != "accepted")
        let middle = #","caIntermediatesPath":"\#(fixtures.file("middle.pem"))""#
        #expect(try why("good", email, chain: false, middle) == "accepted")
        #expect(try why("forged", host) != "accepted")
        #expect(try why("server", email) != "accepted")
    }

    @Test func pem() {
        for count in 0..<70 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 37) }
            #expect(PEM.single(Array(PEM.text(PEM.Block(label: "X Y", bytes: bytes)).utf8))?.bytes == bytes)
        }
    }
}
