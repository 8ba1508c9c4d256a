import LinuxSystem
import OCISpec
import Testing

/// A console socket and what comes over it.
final class ConsoleReceiver {
    let path: String
    private let socket: Descriptor

    init(_ path: String) throws {
        self.path = path
        socket = try UnixSocket.listen(path, .stream)
    }

    /// Everything that is printed until the terminal is closed.
    func readAll() throws -> String {
        guard let connection = try UnixSocket.accept(socket.raw) else { return "" }
        var message = try UnixSocket.receive(connection.raw)
        guard let master = message.descriptors.takeFirst() else { return "" }
        var text: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(master.raw, &chunk, chunk.count)
            if count <= 0 { return String(decoding: text, as: UTF8.self) }
            text += chunk[..<count]
        }
    }
}

extension RuntimeTests {
    @Suite struct Terminals {
        @Test func aTerminalGoesToTheConsoleSocket() throws {
            let fixture = try RuntimeFixture()
            let receiver = try ConsoleReceiver(fixture.directory + "/console")
            fixture.config.process?.terminal = true
            fixture.config.process?.consoleSize = ConsoleSize(height: 33, width: 77)
            fixture.shell(
                "tty; stty size; stat -c '%F %u %g' /dev/console; ls /dev/pts; echo through > /dev/tty; exit 4"
            )
            try fixture.save()
            let outcome = try fixture.command([
                "run", "--detach", "--console-socket", receiver.path, "--bundle", fixture.directory,
                fixture.id,
            ])
            #expect(outcome.code == 0, "\(outcome.output)")
            let text = try receiver.readAll()
            for expected in ["/dev/pts/0", "33 77", "character special file 0 5", "ptmx", "through"] {
                #expect(text.contains(expected), "\(expected) in \(text)")
            }
        }

        @Test func aTerminalForAnAddedProcess() throws {
            let fixture = try RuntimeFixture()
            fixture.shell("exec sleep 100")
            try fixture.create()
            try fixture.command(["start", fixture.id])
            let receiver = try ConsoleReceiver(fixture.directory + "/console")
            let outcome = try fixture.command([
                "exec", "--detach", "--tty", "--user", "1000", "--console-socket", receiver.path, fixture.id,
                "sh", "-c",
                "tty; stat -c %u $(tty)",
            ])
            #expect(outcome.code == 0, "\(outcome.output)")
            let text = try receiver.readAll()
            #expect(text.contains("/dev/pts/0") && text.contains("1000"))
        }

        @Test func aTerminalNeedsSomeoneToHoldIt() throws {
            let fixture = try RuntimeFixture()
            fixture.config.process?.terminal = true
            let outcome = try fixture.create()
            #expect(outcome.code == 1 && outcome.output.contains("cannot allocate tty if"))
            fixture.config.process?.terminal = false
            try fixture.save()
            let other = try fixture.command([
                "create", "--console-socket", "/nothing", "--bundle", fixture.directory, fixture.id,
            ])
            #expect(other.code == 1 && other.output.contains("cannot use console socket"))
        }
    }
}
