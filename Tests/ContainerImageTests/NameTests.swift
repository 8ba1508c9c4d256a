import ContainerImage
import LayerArchive
import OCISpec
import Testing

@Suite struct NameTests {
    static let digest = "sha256:" + String(repeating: "0a", count: 32)

    @Test(arguments: [
        ("debian", "docker.io/library/debian", "debian"),
        ("debian:12", "docker.io/library/debian:12", "debian:12"),
        ("a/b", "docker.io/a/b", "a/b"),
        ("docker.io/debian", "docker.io/library/debian", "debian"),
        ("index.docker.io/a/b:c", "docker.io/a/b:c", "a/b:c"),
        ("localhost/x", "localhost/x", "localhost/x"),
        ("localhost:5000/x:y", "localhost:5000/x:y", "localhost:5000/x:y"),
        ("Host/x", "Host/x", "Host/x"),
        ("quay.io/a/b/c-d__e.f:V_1.2-x", "quay.io/a/b/c-d__e.f:V_1.2-x", "quay.io/a/b/c-d__e.f:V_1.2-x"),
        ("[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x"),
        ("a--b/c", "docker.io/a--b/c", "a--b/c"),
        // What would be another image without its domain.
        ("library/a/b", "docker.io/library/a/b", "docker.io/library/a/b"),
        ("docker.io/localhost/a", "docker.io/localhost/a", "docker.io/localhost/a"),
        ("docker.io/a.b/c", "docker.io/a.b/c", "docker.io/a.b/c"),
    ])
    func names(_ text: String, _ canonical: String, _ familiar: String) throws {
        let reference = try ImageReference(parsing: text)
        #expect(reference.canonical == canonical)
        #expect(reference.familiar == familiar)
        #expect(try ImageReference(parsing: canonical) == reference)
    }

    @Test func digestAndTag() throws {
        let reference = try ImageReference(parsing: "debian:12@\(Self.digest)")
        #expect(reference.tag == "12")
        #expect(reference.digest?.description == Self.digest)
        #expect(reference.canonical == "docker.io/library/debian:12@\(Self.digest)")
        #expect(try ImageReference(parsing: "debian").tagged.tag == "latest")
        #expect(try ImageReference(parsing: "debian@\(Self.digest)").tagged.tag == nil)
    }

    @Test(arguments: [
        "", ":", "a:", "a:b c", "A", "a/B", "-a", "a-", "a..b", "a___b", "a._b", "/a", "a/", "a//b",
        "x.y:port/a",
        "x.y:99999/a", "x.y:-1/a", "x.y:/a", "[]:1/a", "[x]/a", "-h.x/a", "a@sha256:12", "a@md5:00", "a\n",
        "ä", "a:-b",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    ])
    func refused(_ text: String) {
        #expect(throws: ImageError.self) { try ImageReference(parsing: text) }
    }

    @Test func tooLong() throws {
        #expect(throws: ImageError.self) { try ImageName(parsing: String(repeating: "a", count: 238)) }
        #expect(try ImageReference(parsing: String(repeating: "a", count: 237)).repository.utf8.count == 255)
        #expect(throws: ImageError.self) { try ImageName(parsing: "a:" + String(repeating: "a", count: 129)) }
    }

    @Test func sources() throws {
        #expect(try ImageSource(parsing: "debian:12") == .registry("debian:12"))
        #expect(try ImageSource(parsing: "docker://a.b/c") == .registry("a.b/c"))
        #expect(try ImageSource(parsing: "oci:/a/b:x:y") == .layout(path: "/a/b", reference: "x:y"))
        #expect(try ImageSource(parsing: "oci:/a/b") == .layout(path: "/a/b", reference: nil))
        #expect(
            try ImageSource(parsing: "oci-archive:a.tar:t") == .layoutArchive(path: "a.tar", reference: "t"))
        #expect(
            try ImageSource(parsing: "docker-archive:a.tar") == .dockerArchive(path: "a.tar", reference: nil))
        #expect(try ImageSource(parsing: "dir:/a:b") == .directory(path: "/a:b"))
        #expect(try ImageSource(parsing: "docker-daemon:a/b:1") == .daemon("a/b:1"))
        #expect(try ImageSource(parsing: "apus:[/srv/x]a:1") == .store(root: "/srv/x", name: "a:1"))
        #expect(try ImageSource(parsing: "apus:a") == .store(root: nil, name: "a"))
        #expect(throws: ImageError.self) { try ImageSource(parsingTransport: "debian:12") }
        // An image may be called so.
        #expect(try ImageSource(parsing: "docker:dind") == .registry("docker:dind"))
        for text in [
            "oci:", "dir:", "docker-daemon:", "docker-daemon:A", "apus:", "apus:[x]y", "apus:[/x]", "Nope",
            "docker://",
        ] {
            #expect(throws: ImageError.self, "\(text)") { try ImageSource(parsing: text) }
        }
    }
}

@Suite struct ConfigChangeTests {
    private func apply(_ lines: String...) throws -> ContainerDefaults {
        var config = ContainerDefaults()
        for line in lines { try ConfigChange(parsing: line).apply(to: &config) }
        return config
    }

    @Test func instructions() throws {
        let config = try apply(
            #"CMD ["nginx", "-g", "daemon off;"]"#, "entrypoint=/bin/x y", #"ENV A=1 B="two words" C=it\ is"#,
            "ENV PATH /bin:/usr/bin", "ENV A=2", "EXPOSE 80 53/udp 8000-8002", #"LABEL a.b="c d" e=f"#,
            "USER www:www",
            #"VOLUME ["/data", "/log"]"#, "VOLUME /x /y", "WORKDIR /srv", "WORKDIR sub", "STOPSIGNAL SIGQUIT")
        #expect(config.cmd == ["nginx", "-g", "daemon off;"])
        #expect(config.entrypoint == ["/bin/sh", "-c", "/bin/x y"])
        #expect(config.env == ["B=two words", "C=it is", "PATH=/bin:/usr/bin", "A=2"])
        #expect(config.exposedPorts == ["53/udp", "80/tcp", "8000/tcp", "8001/tcp", "8002/tcp"])
        #expect(config.labels == ["a.b": "c d", "e": "f"])
        #expect(config.user == "www:www")
        #expect(config.volumes == ["/data", "/log", "/x", "/y"])
        #expect(config.workingDir == "/srv/sub")
        #expect(config.stopSignal == "SIGQUIT")
    }

    @Test(arguments: [
        "", "RUN x", "CMD", "EXPOSE 0", "EXPOSE 70000", "EXPOSE 80/x", "EXPOSE 9-8", "ENV A", "ENV A='x",
        "LABEL =x",
    ])
    func refused(_ line: String) {
        #expect(throws: ImageError.self) { try ConfigChange(parsing: line) }
    }
}
