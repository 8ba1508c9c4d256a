import LinuxSystem

/// A docker-registry on a loopback port.
final class Registry {
    let port: UInt16
    /// `127.0.0.1:PORT`
    var address: String { "127.0.0.1:\(port)" }
    /// The certificate that it shows, when it speaks HTTPS.
    let certificate: String?
    private let process: ProgramRun

    /// - Parameters:
    ///   - password: the user `tester` must give it (by Basic authentication).
    ///   - realm: where it sends for tokens. It takes none: there is no such server.
    init(
        _ host: Host, https: Bool = false, password: String? = nil, realm: String? = nil,
        readOnly: Bool = false
    ) throws {
        port = try Ports.free()
        var lines = [
            "version: 0.1", "log: {level: error, accesslog: {disabled: true}}",
            "storage: {filesystem: {rootdirectory: \(host.path("registry"))}, delete: {enabled: true}, "
                + "maintenance: {readonly: {enabled: \(readOnly)}}}",
            "http:", "  addr: 127.0.0.1:\(port)",
        ]
        if https {
            let (key, certificate) = (host.path("registry.key"), host.path("certs/ca.crt"))
            try File.makeDirectories(host.path("certs"))
            try Self.makeCertificate(certificate, key: key)
            lines += ["  tls: {certificate: \(certificate), key: \(key)}"]
            self.certificate = certificate
        } else {
            certificate = nil
        }
        if let password {
            let hash = try ProgramRun.tool("htpasswd", "-Bbn", "tester", password)
            let file = try host.write(hash + "\n", to: "htpasswd")
            lines += ["auth: {htpasswd: {realm: test, path: \(file)}}"]
        }
        if let realm, let certificate {
            lines += [
                "auth: {token: {realm: \"\(realm)\", service: s, issuer: i, rootcertbundle: \(certificate)}}"
            ]
        }
        let configuration = try host.write(lines.joined(separator: "\n") + "\n", to: "registry.yml")
        let process = try ProgramRun(["docker-registry", "serve", configuration])
        self.process = process
        host.later {
            process.send(SIGKILL)
            _ = try? process.finish()
        }
        try host.eventually("registry at \(address)") { Ports.isOpen(port) }
    }

    /// For 127.0.0.1, signed by nobody else.
    static func makeCertificate(_ certificate: String, key: String) throws {
        try ProgramRun.tool(
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
            "/CN=127.0.0.1",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate)
    }

    /// Copies an image into it by skopeo.
    func push(_ source: String, as name: String) throws {
        try ProgramRun.tool(
            "skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", "-q", source,
            "docker://\(address)/\(name)")
    }
}

enum Ports {
    /// A TCP port that nobody listens at just now.
    static func free() throws -> UInt16 {
        let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(fd) }
        var address = loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(fd, pointer, length) == 0 && getsockname(fd, pointer, &length) == 0
            }
        }
        guard result else { throw SystemError("bind", "", .current) }
        return UInt16(bigEndian: address.sin_port)
    }

    static func isOpen(_ port: UInt16) -> Bool {
        let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(fd) }
        var address = loopback(port)
        return withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(fd, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }
}
