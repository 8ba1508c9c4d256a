import ContainerImage
import ContainerStorage
import LayerArchive
import LinuxSystem
import OCISpec
import Testing

/// Against Debian's docker-registry, filled by skopeo.
@Suite(.serialized) struct RegistryTransferTests {
    @Test func byTagDigestAndShortName() throws {
        let scratch = try Scratch()
        let registry = try RegistryFixture(scratch)
        let layout = try scratch.sampleLayout()
        let name = "\(registry.host)/team/sample"
        try scratch.run(
            "skopeo", "copy", "--dest-tls-verify=false", "oci:\(layout.path):docker.io/library/sample:1",
            "docker://\(name):1")
        let store = try scratch.store()
        var options = try scratch.options()
        let record = try ImageTransfer(store: store, options: options).pull(ImageSource(parsing: "\(name):1"))
        #expect(record.names == ["\(name):1"])
        #expect(record.repoDigests == ["\(name)@\(record.manifestDigest)"])
        #expect("\(record.manifestDigest)" == layout.manifests[0].digest)

        let byDigest = try ImageTransfer(store: try scratch.store("second"), options: options)
            .pull(ImageSource(parsing: "\(name)@\(record.manifestDigest)"))
        #expect(byDigest.id == record.id)
        #expect(byDigest.names == [])
        #expect(byDigest.repoDigests == ["\(name)@\(record.manifestDigest)"])

        try scratch.write(
            "short.conf",
            Array("unqualified-search-registries = [\"localhost:1\", \"\(registry.host)\"]".utf8))
        options.registriesConfig = scratch("short.conf")
        #expect(
            try ImageTransfer(store: store, options: options).pull(ImageSource(parsing: "team/sample:1")).id
                == record.id)

        try scratch.write(
            "mirror.conf",
            Array(
                "[[registry]]\nlocation = \"never.example\"\n[[registry.mirror]]\nlocation = \"\(registry.host)\""
                    .utf8))
        options.registriesConfig = scratch("mirror.conf")
        let mirrored = try ImageTransfer(store: store, options: options).pull(
            ImageSource(parsing: "never.example/team/sample:1"))
        #expect(mirrored.id == record.id)
        #expect(mirrored.names.contains("never.example/team/sample:1"))
    }

    @Test(arguments: [
        ["--format", "v2s2"], ["--format", "oci", "--dest-compress-format", "zstd"], ["--format", "oci"],
    ])
    func formats(_ flags: [String]) throws {
        let scratch = try Scratch()
        let registry = try RegistryFixture(scratch)
        let layout = try scratch.sampleLayout(compression: .none)
        let name = "\(registry.host)/sample:1"
        try scratch.run(
            "sh", "-c",
            "skopeo copy --dest-tls-verify=false \(flags.joined(separator: " ")) oci:\(layout.path) docker://\(name)"
        )
        let store = try scratch.store()
        let record = try ImageTransfer(store: store, options: try scratch.options()).pull(
            ImageSource(parsing: name))
        let layer = try store.manifest(of: record).layers[0].mediaType
        #expect(
            layer
                == (flags[1] == "v2s2"
                    ? MediaType.dockerLayerGzip
                    : flags.count > 2 ? MediaType.ociLayerZstd : MediaType.ociLayerGzip))

        // And out again: an OCI layout that skopeo reads, whatever came.
        try ImageTransfer(store: store).save(
            [SavedImage(record, names: [try ImageReference(parsing: "a:1")])], as: .ociDirectory,
            to: scratch("out"))
        try scratch.run(
            "skopeo", "copy", "oci:\(scratch("out")):docker.io/library/a:1", "dir:\(scratch("dir"))")
        let again = try ImageTransfer(store: try scratch.store("second")).pull(
            .directory(path: scratch("dir")))
        #expect(again.diffIDs == record.diffIDs)
    }

    /// CVE-2025-6032
    @Test func passwordsAndCertificates() throws {
        let scratch = try Scratch()
        try scratch.run(
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
            "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost", "-keyout", scratch("key.pem"), "-out",
            scratch("cert.pem"))
        let users = try scratch.run("htpasswd", "-Bbn", "ada", "lovelace")
        try scratch.write("htpasswd", Array(users.utf8))
        let registry = try RegistryFixture(
            scratch, htpasswd: scratch("htpasswd"), certificate: scratch("cert.pem"), key: scratch("key.pem"))
        let layout = try scratch.sampleLayout()
        let name = "\(registry.host)/sample:1"
        try scratch.run(
            "skopeo", "copy", "--dest-tls-verify=false", "--dest-creds", "ada:lovelace", "oci:\(layout.path)",
            "docker://\(name)")
        try File.makeDirectories(scratch("certs"))
        try scratch.run("cp", scratch("cert.pem"), scratch("certs/ca.crt"))
        try scratch.write("empty.json", Array("{}".utf8))
        try scratch.write(
            "auth.json", Array(#"{"auths":{"\#(registry.host)":{"auth":"YWRhOmxvdmVsYWNl"}}}"#.utf8))

        let store = try scratch.store()
        func pull(_ change: (inout TransferOptions) -> Void) throws -> ImageRecord {
            try ImageTransfer(
                store: store,
                options: scratch.options {
                    $0.authFile = scratch("empty.json")
                    change(&$0)
                }
            ).pull(ImageSource(parsing: name))
        }
        let untrusted = #expect(throws: ImageError.self) { try pull { $0.credentials = "ada:lovelace" } }
        #expect(untrusted?.code == .registry)
        #expect(untrusted?.message.contains("certificate") == true, "\(untrusted?.message ?? "")")
        let anonymous = #expect(throws: ImageError.self) { try pull { $0.verifyTLS = false } }
        #expect(anonymous?.code == .unauthorized)
        let wrong = #expect(throws: ImageError.self) {
            try pull {
                $0.verifyTLS = false
                $0.credentials = "ada:wrong"
            }
        }
        #expect(wrong?.code == .unauthorized)
        #expect(store.leftovers == [])

        _ = try pull {
            $0.certificateDirectory = scratch("certs")
            $0.credentials = "ada:lovelace"
        }
        _ = try pull {
            $0.verifyTLS = false
            $0.authFile = scratch("auth.json")
        }
        _ = try pull {
            $0.verifyTLS = true
            $0.certificateDirectory = scratch("certs")
            $0.authFile = scratch("auth.json")
        }
    }

    @Test func whatIsNotThere() throws {
        let scratch = try Scratch()
        let registry = try RegistryFixture(scratch)
        let store = try scratch.store()
        let name = "\(registry.host)/nothing:1"
        let error = #expect(throws: ImageError.self) {
            try ImageTransfer(store: store, options: try scratch.options()).pull(ImageSource(parsing: name))
        }
        #expect(error?.code == .notFound)
        #expect(error?.description.contains("manifest unknown") == true, "\(error?.description ?? "")")
        #expect(store.leftovers == [])
    }
}
