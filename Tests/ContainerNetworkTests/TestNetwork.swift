import ContainerNetwork
import LinuxSystem
import Testing

/// A network with names of its own, gone with the object.
final class TestNetwork: Sendable {
    let network: BridgeNetwork
    let directory: String
    let tag: String
    /// The namespace that stands for the host, when it is not the host's own.
    let host: TestContainer?

    init(subnet: String, inside host: TestContainer? = nil) {
        self.host = host
        let tag = String(UInt32.random(in: 0...0xFFFF), radix: 16)
        self.tag = tag
        directory = "/tmp/apus-network-test-\(getpid())-\(tag)"
        var configuration = BridgeNetwork.Configuration()
        configuration.name = "test"
        configuration.bridge = "aptest\(tag)"
        configuration.table = "apus_test_\(tag)"
        configuration.subnet = IPv4Subnet(subnet)!
        configuration.stateDirectory = directory
        network = BridgeNetwork(configuration)
    }

    deinit {
        try? onHost { network throws(NetworkError) in try network.removeFromHost() }
        try? File.removeTree(directory)
    }

    func onHost<Value>(_ body: (BridgeNetwork) throws(NetworkError) -> Value) throws(NetworkError) -> Value {
        guard let host else { return try body(network) }
        var result: Result<Value, NetworkError>?
        do throws(SystemError) {
            try NetworkNamespace.inside(host.namespace) { () throws(SystemError) in
                do throws(NetworkError) { result = .success(try body(network)) } catch {
                    result = .failure(error)
                }
            }
        } catch {
            throw NetworkError(.system, "cannot enter the host", cause: error)
        }
        return try result!.get()
    }

    var bridge: String { network.configuration.bridge }
    var ruleset: String { shell("nft list table ip \(network.configuration.table) 2>&1") }
}

/// A namespace that stands for a container.
final class TestContainer: Sendable {
    let namespace: Int32

    init() throws { namespace = try NetworkNamespace.create().take() }
    deinit { close(namespace) }

    func attach(_ id: String, to test: TestNetwork, _ ports: String...) throws -> NetworkAttachment {
        let borrowed = Descriptor(owning: dup(namespace))
        let mappings = try ports.flatMap { try PortMapping.parse($0) }
        return try test.onHost { network throws(NetworkError) in
            try network.setUp(containerID: id, netns: borrowed, ports: mappings)
        }
    }

    /// Runs a command inside, with its output.
    func run(_ command: String) -> String {
        shell("nsenter --net=/proc/\(getpid())/fd/\(namespace) sh -c '\(command)' 2>&1")
    }

    /// Starts a server inside that answers each connection or packet with a text.
    func serve(_ what: String, port: Int, answer: String) -> Server {
        Server(
            "exec nsenter --net=/proc/\(getpid())/fd/\(namespace) socat -t5 \(what)-LISTEN:\(port),fork,reuseaddr "
                + "SYSTEM:'read line; echo \(answer)'",
            ready: { self.run("ss -lntu").contains(":\(port) ") })
    }
}

/// A process that ends with the object.
final class Server: @unchecked Sendable {
    private var process: pid_t = 0

    init(_ command: String, ready: () -> Bool) {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        posix_spawnattr_setpgroup(&attributes, 0)
        let words: [String] = ["sh", "-c", command]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        posix_spawn(&process, "/bin/sh", nil, &attributes, &arguments, environ)
        for argument in arguments { free(argument) }
        posix_spawnattr_destroy(&attributes)
        for _ in 0..<200 {
            if ready() { return }
            usleep(10_000)
        }
        Issue.record("server did not start: \(command)")
    }

    deinit {
        kill(-process, SIGKILL)
        waitpid(process, nil, 0)
    }
}

@discardableResult
func shell(_ command: String) -> String {
    guard let stream = popen(command, "r") else { return "" }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = fread(&buffer, 1, buffer.count, stream)
        if count == 0 { break }
        output += buffer[..<count]
    }
    pclose(stream)
    return String(decoding: output, as: UTF8.self)
}
