import JSONText
import LinuxSystem
import OCISpec
import Testing

extension RuntimeTests {
    @Suite struct SeccompAgents {
        private func fixture(_ names: [String], path: String = "agent") throws -> RuntimeFixture {
            let fixture = try RuntimeFixture()
            var profile = Seccomp(defaultAction: .allow)
            profile.syscalls = [Seccomp.Syscall(names: names, action: .notify)]
            profile.listenerPath = fixture.directory + "/" + path
            profile.listenerMetadata = "more"
            fixture.config.linux?.seccomp = profile
            fixture.shell("mkdir /dev/shm/x; ls /dev/shm; exec sleep 100")
            return fixture
        }

        private final class Notification {
            var state: JSON
            let listener: Descriptor
            init(state: JSON, listener: consuming Descriptor) {
                self.state = state
                self.listener = listener
            }

            /// Lets the next call go on (SECCOMP_IOCTL_NOTIF_RECV, _SEND, FLAG_CONTINUE).
            func letPass() -> Int32 {
                var request = [UInt64](repeating: 0, count: 10)
                let raw = listener.raw
                guard linux_ioctl(raw, 0xc050_2100, &request) == 0 else { return -1 }
                var answer: [UInt64] = [request[0], 0, 1 << 32]
                guard linux_ioctl(raw, 0xc018_2101, &answer) == 0 else { return -1 }
                return Int32(truncatingIfNeeded: request[2])
            }
        }

        private func receive(_ socket: Int32) throws -> Notification {
            guard let connection = try UnixSocket.accept(socket) else {
                throw SystemError("accept", "agent", .again)
            }
            var message = try UnixSocket.receive(connection.raw)
            guard let listener = message.descriptors.takeFirst() else {
                throw SystemError("receive", "listener", .io)
            }
            return Notification(state: try JSON(parsing: message.bytes), listener: listener)
        }

        @Test(arguments: [false, true])
        func theAgentDecides(_ noNewPrivileges: Bool) throws {
            let fixture = try fixture(["mkdir", "mkdirat"])
            fixture.config.process?.noNewPrivileges = noNewPrivileges
            let socket = try UnixSocket.listen(fixture.directory + "/agent", .stream)
            try fixture.create()
            // The listener comes from the process itself, for which no runtime waits any more.
            try fixture.command(["start", fixture.id])
            let notification = try receive(socket.raw)
            let state = notification.state
            #expect(state["metadata"]?.string == "more" && state["state"]?["id"]?.string == fixture.id)
            let pid = try JSON(parsing: try fixture.command(["state", fixture.id]).output)["pid"]?.int
            #expect(state["pid"]?.int == pid && state["fds"]?.array?.first?.string == "seccompFd")
            #expect(notification.letPass() > 0)
            // An added process has a listener of its own.
            let exec = try fixture.start(["exec", fixture.id, "mkdir", "/dev/shm/y"])
            #expect(try receive(socket.raw).letPass() > 0)
            #expect(try Spawn.wait(exec).exitCode == 0)
            #expect(try fixture.command(["exec", fixture.id, "ls", "/dev/shm"]).code == 0)
            #expect(fixture.output == "x\ny\n")
        }

        @Test func withoutAnAgentNothingStarts() throws {
            let outcome = try fixture(["mkdir"]).run()
            #expect(outcome.code == 1 && outcome.output.contains("failed to connect with seccomp agent"))
            for name in ["write", "sendmsg"] {
                let refused = try fixture([name]).run()
                #expect(
                    refused.output.contains("cannot be used for the \(name) syscall"), "\(refused.output)")
            }
        }
    }
}
