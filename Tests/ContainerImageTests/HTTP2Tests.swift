import ContainerImage
import ContainerStorage
import LayerArchive
import LinuxSystem
import RegistryClient
import Testing

/// Against Debian's docker-registry, which speaks HTTP/2 over TLS.
@Suite(.serialized) struct HTTP2Tests {
    private let scratch: Scratch
    private let registry: RegistryFixture
    private let store: Store

    init() throws {
        scratch = try Scratch()
        try scratch.run(
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", scratch("key.pem"), "-out",
            scratch("cert.pem"))
        registry = try RegistryFixture(
            scratch, certificate: scratch("cert.pem"), key: scratch("key.pem"), logs: true)
        store = try scratch.store()
    }

    private func transfer(_ store: Store) throws -> ImageTransfer {
        var options = TransferOptions()
        options.registriesConfig = scratch("registries.conf")
        options.verifyTLS = false
        try scratch.write("registries.conf", [])
        return ImageTransfer(store: store, options: options)
    }

    /// An image whose layer does not compress.
    private func image(_ size: Int) throws -> ImageSource {
        var generator = SystemRandomNumberGenerator()
        let noise = String(
            (0..<size).map { _ in
                Character(Unicode.Scalar(UInt8(33 + generator.next(upperBound: 90 as UInt64))))
            })
        let layout = try TestLayout(scratch("layout"))
        try layout.image("docker.io/library/noise:1", [try layout.layer(["noise": noise])])
        return .layout(path: layout.path, reference: nil)
    }

    /// The requests that the registry had, and how many of them by HTTP/2.
    private func requests(_ method: String) throws -> (all: Int, http2: Int) {
        let lines = try File.readText(registry.log).split(separator: "\n").filter {
            $0.contains("\"\(method) /v2/")
        }
        return (lines.count, lines.count { $0.contains("HTTP/2.0\"") })
    }

    @Test func thereAndBack() throws {
        let record = try transfer(store).pull(try image(3_000_000))
        let name = try ImageSource(parsing: "\(registry.host)/noise:1")
        let digest = try transfer(store).push(record, to: name)
        #expect(try transfer(store).push(record, to: name) == digest)
        let back = try transfer(try scratch.store("back")).pull(name)
        #expect(back.id == record.id)
        for method in ["HEAD", "POST", "PUT", "GET"] {
            let (all, http2) = try requests(method)
            #expect(all > 0 && http2 == all, "\(method): \(http2) of \(all)")
        }
    }

    /// Bulk is slower by HTTP/2.
    @Test func largeBlobsComeByTheOldOne() throws {
        let blob = [UInt8](repeating: 7, count: 9 << 20)
        let digest = Digest.sha256(of: blob)
        try scratch.write("blob", blob)
        try scratch.run(
            "sh", "-c",
            """
            at=$(curl -skX POST -D- https://\(registry.host)/v2/a/blobs/uploads/ | tr -d '\\r' | sed -n 's/^[Ll]ocation: //p')
            curl -skfT \(scratch("blob")) -H 'Content-Type: application/octet-stream' "$at&digest=\(digest)"
            """)
        var options = RegistryOptions()
        options.isAnonymous = true
        options.verifyTLS = false
        let repository = Repository(registry: Registry(host: registry.host), name: "a")
        let source = RegistryClient(options).blob(repository, digest: digest, size: Int64(blob.count))
        try VerifyingSource(source, expected: digest, size: Int64(blob.count)).drain()
        let (all, http2) = try requests("GET")
        #expect(all == 1 && http2 == 0)
    }

    @Test func connectionsBreak() throws {
        let record = try transfer(store).pull(try image(4_000_000))
        let up = try CuttingProxy(to: registry.host, cuts: 2, after: 1_500_000)
        defer { up.stop() }
        let digest = try transfer(store).push(
            record, to: try ImageSource(parsing: "127.0.0.1:\(up.port)/noise:1"))
        #expect(up.cutsLeft == 0)
        let down = try CuttingProxy(to: registry.host, cuts: 2, after: 1_500_000, ofAnswers: true)
        defer { down.stop() }
        let back = try transfer(try scratch.store("back")).pull(
            try ImageSource(parsing: "127.0.0.1:\(down.port)/noise@\(digest)"))
        #expect(down.cutsLeft == 0)
        #expect(back.id == record.id)
    }
}
