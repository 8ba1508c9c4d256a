import LinuxSystem
import Testing

/// Debian's docker-registry on a port of its own.
final class RegistryFixture {
    let host: String
    /// The path of what it prints.
    let log: String
    private let pid: pid_t

    /// - Parameters:
    ///   - htpasswd: a file of users, for basic authentication.
    ///   - certificate, key: for TLS.
    ///   - logs: it prints the requests.
    init(
        _ scratch: Scratch, htpasswd: String? = nil, certificate: String? = nil, key: String? = nil,
        logs: Bool = false
    ) throws {
        let port = try Self.freePort()
        host = "localhost:\(port)"
        let directory = scratch("registry-\(port)")
        try File.makeDirectories(directory)
        var config = """
            version: 0.1
            log: {level: error, accesslog: {disabled: \(!logs)}}
            storage: {filesystem: {rootdirectory: \(directory)/data}, delete: {enabled: true}}
            http:
              addr: 127.0.0.1:\(port)

            """
        if let certificate, let key { config += "  tls: {certificate: \(certificate), key: \(key)}\n" }
        if let htpasswd { config += "auth: {htpasswd: {realm: tests, path: \(htpasswd)}}\n" }
        try File.replace("\(directory)/config.yml", with: Array(config.utf8), durable: false)
        log = "\(directory)/log"
        let log = try File.open(log, O_WRONLY | O_CREAT)
        pid = try Spawn.start(
            "docker-registry", ["docker-registry", "serve", "\(directory)/config.yml"],
            descriptors: [nil, log.raw, log.raw])
        for _ in 0..<200 {
            if Self.accepts(port) { return }
            usleep(50_000)
        }
        throw SystemError("start docker-registry on", host, Errno(ETIMEDOUT))
    }

    deinit {
        kill(pid, SIGKILL)
        _ = try? Spawn.wait(pid)
    }

    private static func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return address
    }

    private static func freePort() throws -> UInt16 {
        let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        defer { close(fd) }
        var address = address(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let done = withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(fd, $0, length) == 0 && getsockname(fd, $0, &length) == 0
            }
        }
        guard done else { throw SystemError("bind", "127.0.0.1", .current) }
        return UInt16(bigEndian: address.sin_port)
    }

    private static func accepts(_ port: UInt16) -> Bool {
        let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        defer { close(fd) }
        var address = address(port)
        return withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(fd, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
