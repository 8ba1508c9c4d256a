import JSONText
import Testing

@testable import ImageTrust

@Suite struct PolicyTests {
    static let accept = #"[{"type":"insecureAcceptAnything"}]"#
    static let reject = #"[{"type":"reject"}]"#

    @Test(
        "the narrowest scope counts, and it alone",
        arguments: [
            ("registry.example:5000/ns/app:v1", true),
            ("registry.example:5000/ns/app:v2", false),
            ("registry.example:5000/ns/app@sha256:\(String(repeating: "0", count: 64))", false),
            ("registry.example:5000/ns/app:v1@sha256:\(String(repeating: "0", count: 64))", false),
            ("registry.example:5000/ns/other:v1", true),
            ("registry.example:5000/nsx/other:v1", false),
            ("registry.example:5001/x:v1", false),
            ("registry.example/x:v1", false),
            ("a.trusted.example/x:v1", true),
            ("a.b.trusted.example:77/x:v1", true),
            ("trusted.example/x:v1", false),
            ("eviltrusted.example/x:v1", false),
            ("debian", true),
            ("docker.io/library/debian:12", true),
            ("docker.io/other/debian:12", false),
        ])
    func scopes(name: String, isAccepted: Bool) throws {
        let policy = try policy(
            """
            {"default":\(Self.reject),"transports":{"docker":{
              "registry.example:5000/ns/app:v1":\(Self.accept),
              "registry.example:5000/ns/app":\(Self.reject),
              "registry.example:5000/ns":\(Self.accept),
              "docker.io/library/debian":\(Self.accept),
              "*.trusted.example":\(Self.accept)},
             "oci":{"":\(Self.accept)}}}
            """)
        #expect((refusal(policy, image(name)) == nil) == isAccepted)
    }

    @Test func transportsAndDirectories() throws {
        let policy = try policy(
            """
            {"default":\(Self.reject),"transports":{"oci":{"/srv/images":\(Self.accept),
              "/srv/images/bad":\(Self.reject),"/srv/images/bad:v1":\(Self.accept)},
              "dir":{"":\(Self.accept),"/tmp":\(Self.reject)}}}
            """)
        func isAccepted(_ transport: String, _ path: String, _ name: String?) -> Bool {
            let scope = PolicyScope(transport: transport, path: path, reference: name)
            return refusal(policy, PolicyImage(scope: scope, reference: nil, manifest: manifest)) == nil
        }
        #expect(isAccepted("oci", "/srv/images/good", ""))
        #expect(isAccepted("oci", "/srv/images/good", "v1"))
        #expect(!isAccepted("oci", "/srv/images/bad", "v2"))
        #expect(isAccepted("oci", "/srv/images/bad", "v1"))
        #expect(!isAccepted("oci", "/srv/imagesx", "v1"))
        #expect(isAccepted("dir", "/home/x", nil))
        #expect(!isAccepted("dir", "/tmp/x", nil))
        #expect(!isAccepted("docker-archive", "/srv/images", nil))
    }

    @Test("a refusal says which requirement of which scope")
    func message() throws {
        let policy = try policy(
            #"{"default":[{"type":"reject"}],"transports":{"docker":{"registry.example:5000/ns":[{"type":"insecureAcceptAnything"},{"type":"signedBy","keyType":"GPGKeys","keyPath":"/nowhere"}]}}}"#
        )
        #expect(
            refusal(policy, image("other.example/x:1"))
                == "refused by the test's policy: reject, required by the default: nothing is accepted from there"
        )
        let text = try #require(refusal(policy, image()))
        #expect(text.contains("signedBy, required by the scope \"registry.example:5000/ns\" of docker"))
        #expect(text.contains("/nowhere: no such file"))
    }

    @Test(
        "what is not understood is an error",
        arguments: [
            "", "[]", "{}", #"{"default":[]}"#, #"{"default":{}}"#, #"{"default":[{}]}"#,
            #"{"default":[{"type":"accept"}]}"#,
            #"{"default":[{"type":"reject","more":1}]}"#,
            #"{"default":[{"type":"reject"}],"defaults":[]}"#,
            #"{"default":[{"type":"reject"}],"default":[{"type":"insecureAcceptAnything"}]}"#,
            #"{"default":[{"type":"reject","type":"insecureAcceptAnything"}]}"#,
            #"{"default":[{"type":"reject"}],"transports":[]}"#,
            #"{"default":[{"type":"reject"}],"transports":{"docker":{"x":[]}}}"#,
            #"{"default":[{"type":"reject"}],"transports":{"docker":{"x":[{"type":"reject"}],"x":[{"type":"insecureAcceptAnything"}]}}}"#,
            #"{"default":[{"type":"signedBy"}]}"#,
            #"{"default":[{"type":"signedBy","keyType":"GPGKeys"}]}"#,
            #"{"default":[{"type":"signedBy","keyType":"X509Certificates","keyPath":"/k"}]}"#,
            #"{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k","keyData":"QQ=="}]}"#,
            #"{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":""}]}"#,
            #"{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPaths":[]}]}"#,
            #"{"default":[{"type":"signedBy","keyType":"GPGKeys","keyData":"no base64!"}]}"#,
            #"{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k","signedIdentity":{"type":"any"}}]}"#,
            #"{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k","signedIdentity":{"type":"matchExact","x":1}}]}"#,
            #"{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k","signedIdentity":{"type":"exactReference","dockerReference":"a/b"}}]}"#,
            #"{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k","signedIdentity":{"type":"remapIdentity","prefix":"a","signedPrefix":"short/name"}}]}"#,
            #"{"default":[{"type":"sigstoreSigned"}]}"#,
            #"{"default":[{"type":"sigstoreSigned","keyPath":"/k","keyDatas":["QQ=="]}]}"#,
            #"{"default":[{"type":"sigstoreSigned","keyDatas":[]}]}"#,
            #"{"default":[{"type":"sigstoreSigned","fulcio":{"caPath":"/c","oidcIssuer":"i","subjectEmail":"e"}}]}"#,
            #"{"default":[{"type":"sigstoreSigned","fulcio":{"caPath":"/c","subjectEmail":"e"},"rekorPublicKeyPath":"/r"}]}"#,
            #"{"default":[{"type":"sigstoreSigned","keyPath":"/k","fulcio":{"caPath":"/c","oidcIssuer":"i","subjectEmail":"e"},"rekorPublicKeyPath":"/r"}]}"#,
            #"{"default":[{"type":"sigstoreSigned","pki":{"caRootsPath":"/c"}}]}"#,
            #"{"default":[{"type":"sigstoreSigned","pki":{"caRootsPath":"/c","subjectEmail":"e"},"rekorPublicKeyPath":"/r"}]}"#,
            #"{"default":[{"type":"signedBaseLayer","baseLayerIdentity":{"type":"matchExact"}}]}"#,
        ])
    func malformed(text: String) {
        #expect { try policy(text) } throws: { ($0 as? TrustError)?.code == .configuration }
    }

    @Test(
        "identities: signed, image, and whether it matches",
        arguments: [
            ("matchExact", "h/a:1", "h/a:1", true), ("matchExact", "h/a:1", "h/a:2", false),
            ("matchExact", "h.x/a:1", "h.x:5000/a:1", false), ("matchExact", "h.x/a", "h.x/a:1", false),
            ("matchExact", "docker.io/library/a:1", "a:1", true),
            ("matchRepository", "h.x/a:1", "h.x/a:2", true), ("matchRepository", "h.x/a", "h.x/a:2", true),
            ("matchRepository", "h.x/a/b:1", "h.x/a:1", false),
            ("matchRepository", "h.x:443/a:1", "h.x/a:1", false),
            ("matchRepoDigestOrExact", "h.x/a:1", "h.x/a:1", true),
            ("matchRepoDigestOrExact", "h.x/a:1", "h.x/a:2", false),
            ("matchRepoDigestOrExact", "h.x/a:1", "h.x/a@DIGEST", true),
            ("matchRepoDigestOrExact", "h.x/a:1", "h.x/a:2@DIGEST", true),
            ("matchRepoDigestOrExact", "h.x/b:1", "h.x/a@DIGEST", false),
            ("matchRepoDigestOrExact", "h.x/a", "h.x/a@DIGEST", false),
            ("matchRepoDigestOrExact", "H.x/a:1", "h.x/a:1", false),
            ("matchRepoDigestOrExact", "h.x/a:1\u{301}", "h.x/a:1", false),
            ("exactReference h.x/z:9", "h.x/z:9", "other.x/q:1", true),
            ("exactReference h.x/z:9", "h.x/z:8", "h.x/z:8", false),
            ("exactRepository h.x/z", "h.x/z:9", "other.x/q:1", true),
            ("exactRepository h.x/z", "h.x/zz:9", "h.x/z:9", false),
            ("remapIdentity mirror.x:5/lib vendor.x/y", "vendor.x/y/a:1", "mirror.x:5/lib/a:1", true),
            ("remapIdentity mirror.x:5/lib vendor.x/y", "mirror.x:5/lib/a:1", "mirror.x:5/lib/a:1", false),
            ("remapIdentity mirror.x:5/lib vendor.x/y", "vendor.x/yb/a:1", "mirror.x:5/libb/a:1", false),
            ("remapIdentity mirror.x vendor.x", "vendor.x:5/a:1", "mirror.x:5/a:1", false),
            ("remapIdentity mirror.x vendor.x", "other.x/a:1", "other.x/a:1", true),
        ])
    func identities(kind: String, signed: String, image: String, matches: Bool) throws {
        let words = kind.split(separator: " ").map { JSON.string(String($0)) }
        var object: JSONObject = ["type": words[0]]
        switch words[0].string {
        case "exactReference": object["dockerReference"] = words[1]
        case "exactRepository": object["dockerRepository"] = words[1]
        case "remapIdentity":
            object["prefix"] = words[1]
            object["signedPrefix"] = words[2]
        default: break
        }
        let identity = try SignedIdentity(json: .object(object))
        let zero = "sha256:" + String(repeating: "0", count: 64)
        let name = reference(image.contains("@") ? String(image.dropLast(6)) + zero : image)
        let subject = PolicyImage(scope: PolicyScope(registry: name), reference: name, manifest: [])
        let parsed = DockerReference(parsing: signed)
        #expect((parsed.map { identity.accepts($0, for: subject.reference) } ?? false) == matches)
    }

    @Test(
        "no names",
        arguments: [
            "", "/", "a/", "/a", "A/b/", "h.x/A", "h.x/a:", "h.x/a:b c", "h.x/a@sha256:00", "h.x/a..b",
            "h.x/-a",
            "h.x/a___b", "-h.x/a", "h.x:/a", "h.x:5a/a", "h.x/a:1:2", "h.x/a/../b", "h.x/é", "h.x/a\u{0}",
        ])
    func badReferences(text: String) { #expect(DockerReference(parsing: text) == nil) }

    @Test func duplicateMembers() {
        let text = Array(#"{"a":1,"b":{"c":1,"c":2}}"#.utf8)
        #expect((try? JSON(parsing: text)) != nil)
        #expect(throws: JSONError.self) { try JSON(parsing: text, refusingDuplicates: true) }
    }
}
