import LinuxSystem
import Synchronization
import Testing

@testable import ContainerRuntime

/// A manager that answers as it is told to.
private final class ScriptedManager: Sendable {
    typealias Answer = @Sendable (DBusMessage) -> [DBusMessage]

    let path: String
    private let calls = Mutex<[DBusMessage]>([])
    var received: [DBusMessage] { calls.withLock { $0 } }

    init() throws {
        path = "/tmp/apus-manager-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    }

    /// Runs a body with a connection whose calls `answer` answers; without an answer it is closed.
    func serve(_ answer: @escaping Answer, _ body: @escaping @Sendable (SystemdManager) throws -> Void) throws
    {
        let listener = try UnixSocket.listen(path, .stream)
        defer { try? File.unlink(path) }
        let raw = listener.raw
        var thread = pthread_t()
        let work = Unmanaged.passRetained(Work { try? self.answer(raw, answer) })
        try #require(
            pthread_create(
                &thread, nil,
                { context in
                    Unmanaged<Work>.fromOpaque(context!).takeRetainedValue().body()
                    return nil
                }, work.toOpaque()) == 0)
        defer { pthread_join(thread, nil) }
        // Closed when the body is done, which ends the thread.
        try body(SystemdManager(try DBusConnection(path: path, isBus: false)))
    }

    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    private func answer(_ listener: Int32, _ answer: Answer) throws {
        guard let socket = try UnixSocket.accept(listener) else { return }
        var bytes: [UInt8] = []
        func fill(_ count: Int) throws -> Bool {
            var buffer = [UInt8](repeating: 0, count: 4096)
            while bytes.count < count {
                let size = read(socket.raw, &buffer, buffer.count)
                if size <= 0 { return false }
                bytes += buffer[..<size]
            }
            return true
        }
        func line() throws -> String {
            while !bytes.contains(0x0A) { if try !fill(bytes.count + 1) { return "" } }
            let end = bytes.firstIndex(of: 0x0A)!
            let line = String(decoding: bytes[..<end], as: UTF8.self)
            bytes.removeFirst(end + 1)
            return line
        }
        guard try line() == "\0AUTH EXTERNAL\r" else { return }
        try FD.writeAll(socket.raw, "DATA\r\n")
        guard try line() == "DATA\r" else { return }
        try FD.writeAll(socket.raw, "OK 0123\r\n")
        guard try line() == "BEGIN\r" else { return }
        while try fill(16) {
            let length = try DBusMessage.length(prefix: Array(bytes.prefix(16)))
            guard try fill(length) else { return }
            let call = try DBusMessage(bytes: Array(bytes.prefix(length)))
            bytes.removeFirst(length)
            calls.withLock { $0.append(call) }
            let answers = answer(call)
            if answers.isEmpty { return }
            // In pieces, as a stream may bring them.
            for byte in answers.flatMap(\.bytes) { try FD.writeAll(socket.raw, [byte]) }
        }
    }
}

extension DBusMessage {
    fileprivate func reply(_ body: DBusValue...) -> DBusMessage {
        var message = DBusMessage(.reply)
        message.serial = 1
        message.replySerial = serial
        message.body = body
        return message
    }

    fileprivate func failure(_ name: String) -> DBusMessage {
        var message = DBusMessage(.error)
        message.serial = 1
        message.replySerial = serial
        message.errorName = "org.freedesktop.systemd1.\(name)"
        message.body = [.string("told \(name)")]
        return message
    }

    fileprivate static func jobRemoved(_ job: String, _ result: String) -> DBusMessage {
        var message = DBusMessage(.signal)
        message.serial = 1
        message.path = "/org/freedesktop/systemd1"
        message.interface = "org.freedesktop.systemd1.Manager"
        message.member = "JobRemoved"
        message.body = [.uint32(1), .objectPath(job), .string("a.scope"), .string(result)]
        return message
    }
}

@Suite struct SystemdManagerTests {
    private static let properties: [SystemdManager.Property] = [
        .init("Delegate", .boolean(true)), .init("PIDs", .array(of: "u", [.uint32(5)])),
    ]

    @Test func aUnitHasStartedWhenItsJobIsDone() throws {
        let manager = try ScriptedManager()
        try manager.serve { call in
            // Jobs of others end too, and ours even before we know it.
            [
                .jobRemoved("/job/1", "failed"), .jobRemoved("/job/2", "done"),
                call.reply(.objectPath("/job/2")),
            ]
        } _: {
            try $0.start("a.scope", Self.properties)
        }
        let call = try #require(manager.received.first)
        #expect(manager.received.count == 1)
        #expect(call.member == "StartTransientUnit")
        #expect(call.path == "/org/freedesktop/systemd1")
        #expect(call.interface == "org.freedesktop.systemd1.Manager")
        #expect(
            call.body == [
                .string("a.scope"), .string("replace"),
                .array(
                    of: "(sv)",
                    [
                        .structure([.string("Delegate"), .variant(.boolean(true))]),
                        .structure([.string("PIDs"), .variant(.array(of: "u", [.uint32(5)]))]),
                    ]), .array(of: "(sa(sv))", []),
            ])
    }

    @Test func aFailedUnitOfTheNameMakesRoom() throws {
        let manager = try ScriptedManager()
        try manager.serve { [count = Counter()] call in
            switch call.member {
            case "StartTransientUnit" where count.next() == 1: [call.failure("UnitExists")]
            case "StartTransientUnit": [call.reply(.objectPath("/job/3")), .jobRemoved("/job/3", "done")]
            default: [call.reply()]
            }
        } _: {
            try $0.start("a.scope", Self.properties)
        }
        #expect(
            manager.received.map(\.member) == ["StartTransientUnit", "ResetFailedUnit", "StartTransientUnit"])
    }

    @Test func anotherUnitOfTheNameIsInUse() throws {
        let manager = try ScriptedManager()
        try manager.serve {
            [$0.failure("UnitExists")]
        } _: { systemd in
            let error = #expect(throws: CgroupError.self) { try systemd.start("a.scope", Self.properties) }
            #expect(error?.code == .inUse)
            #expect(error?.message == "unable to start unit \"a.scope\": told UnitExists")
        }
    }

    @Test func aFailedJobIsAnError() throws {
        let manager = try ScriptedManager()
        try manager.serve { call in
            call.member == "ResetFailedUnit"
                ? [call.reply()] : [call.reply(.objectPath("/j")), .jobRemoved("/j", "failed")]
        } _: { systemd in
            let error = #expect(throws: CgroupError.self) { try systemd.start("a.scope", Self.properties) }
            #expect(error?.message == "unable to start unit \"a.scope\": its job ended with \"failed\"")
        }
        #expect(manager.received.map(\.member) == ["StartTransientUnit", "ResetFailedUnit"])
    }

    @Test func aManagerThatGoesAwayIsAnError() throws {
        let manager = try ScriptedManager()
        try manager.serve { _ in
            []
        } _: { systemd in
            let error = #expect(throws: CgroupError.self) { try systemd.set("a.scope", Self.properties) }
            #expect(
                error?.message
                    == "unable to set properties of unit \"a.scope\": the D-Bus connection was closed")
        }
    }

    @Test func stoppingWhatIsGoneIsNoError() throws {
        let manager = try ScriptedManager()
        try manager.serve {
            [$0.failure("NoSuchUnit")]
        } _: {
            try $0.stop("a.scope")
        }
        #expect(manager.received.map(\.member) == ["StopUnit"])
    }

    @Test func stoppingWaitsAndLeavesNoFailedUnit() throws {
        let manager = try ScriptedManager()
        try manager.serve { call in
            call.member == "StopUnit"
                ? [call.reply(.objectPath("/j")), .jobRemoved("/k", "done"), .jobRemoved("/j", "done")]
                : [call.failure("NoSuchUnit")]
        } _: {
            try $0.stop("a.scope")
        }
        #expect(manager.received.map(\.member) == ["StopUnit", "ResetFailedUnit"])
    }

    @Test func propertiesChangeUntilTheUnitEnds() throws {
        let manager = try ScriptedManager()
        try manager.serve {
            [$0.reply()]
        } _: { systemd in
            try systemd.set("a.scope", [.init("TasksMax", .uint64(5))])
            // Nothing to change is nothing to say.
            try systemd.set("a.scope", [])
        }
        #expect(manager.received.count == 1)
        #expect(
            manager.received.first?.body == [
                .string("a.scope"), .boolean(true),
                .array(of: "(sv)", [.structure([.string("TasksMax"), .variant(.uint64(5))])]),
            ])
    }

    @Test func theManagerTellsOfItself() throws {
        let manager = try ScriptedManager()
        try manager.serve { call in
            [call.reply(.variant(.string(call.body.last == .string("Version") ? "252.1-1" : "/user.slice")))]
        } _: { systemd in
            #expect(systemd.version() == 252)
            #expect(systemd.version() == 252)
            let group = try systemd.controlGroup()
            #expect(group == "/user.slice")
        }
        #expect(manager.received.count == 2)
    }

    private final class Counter: Sendable {
        private let count = Mutex(0)
        func next() -> Int {
            count.withLock {
                $0 += 1
                return $0
            }
        }
    }
}
