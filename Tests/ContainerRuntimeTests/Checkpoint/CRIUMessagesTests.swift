import LinuxSystem
import Testing

@testable import ContainerRuntime

@Suite struct CRIUMessagesTests {
    @Test func valuesAreWrittenInTheWireFormat() {
        func bytes(_ change: (inout ProtocolBufferWriter) -> Void) -> [UInt8] {
            var writer = ProtocolBufferWriter()
            change(&writer)
            return writer.bytes
        }
        // The example of the format's own documentation.
        #expect(bytes { $0.set(1, Int32(150)) } == [0x08, 0x96, 0x01])
        #expect(bytes { $0.set(2, "testing") } == [0x12, 0x07] + Array("testing".utf8))
        #expect(bytes { $0.set(1, Int32(-1)) } == [0x08] + [UInt8](repeating: 0xff, count: 9) + [0x01])
        #expect(bytes { $0.set(38, UInt32(0x4000_0000)) } == [0xb0, 0x02, 0x80, 0x80, 0x80, 0x80, 0x04])
        #expect(bytes { $0.set(50, true) } == [0x90, 0x03, 0x01])
        #expect(bytes { $0.set(3, false) } == [0x18, 0x00])
        #expect(bytes { $0.set(1, nil as Int32?) } == [])
        var inner = ProtocolBufferWriter()
        inner.set(1, Int32(150))
        #expect(bytes { $0.set(3, inner) } == [0x1a, 0x03, 0x08, 0x96, 0x01])
    }

    @Test func whatIsWrittenCanBeRead() throws {
        var inner = ProtocolBufferWriter()
        inner.set(1, "ä")
        var writer = ProtocolBufferWriter()
        writer.set(1, Int32.min)
        writer.set(2, Int32.max)
        writer.set(300, inner)
        writer.set(4, true)
        let reader = try #require(ProtocolBufferReader(writer.bytes))
        #expect(reader.int32(1) == .min)
        #expect(reader.int32(2) == .max)
        #expect(reader.message(300)?.text(1) == "ä")
        #expect(reader.bool(4) == true)
        #expect(reader.bool(5) == nil)
        #expect(reader.text(1) == nil)
        // The last of several is the one that counts.
        #expect(ProtocolBufferReader([0x08, 0x01, 0x08, 0x02])?.int32(1) == 2)
    }

    @Test func unknownFieldsAreSkippedAndTruncatedMessagesRefused() {
        let fixed: [UInt8] = [0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x15, 1, 2, 3, 4, 0x18, 0x07]
        #expect(ProtocolBufferReader(fixed)?.int32(3) == 7)
        #expect(ProtocolBufferReader([])?.int32(3) == nil)
        for count in 1..<fixed.count where ![9, 14].contains(count) {
            #expect(ProtocolBufferReader(Array(fixed.prefix(count))) == nil, "\(count) bytes")
        }
        // A length beyond the end, a number without an end, a group, field 0.
        #expect(ProtocolBufferReader([0x12, 0x05, 0x61]) == nil)
        #expect(ProtocolBufferReader([0x12] + [UInt8](repeating: 0xff, count: 9) + [0x01]) == nil)
        #expect(ProtocolBufferReader([0x08] + [UInt8](repeating: 0xff, count: 11)) == nil)
        #expect(ProtocolBufferReader([0x0b]) == nil)
        #expect(ProtocolBufferReader([0x00, 0x01]) == nil)
    }

    @Test func requestsAreTheProtocols() throws {
        #expect(CRIURequest.version.bytes == [0x08, 0x0a, 0x20, 0x01])
        #expect(CRIURequest.done.bytes == [0x08, 0x06, 0x18, 0x01])
        #expect(
            CRIURequest.features(CRIUFeatures(lazyPages: true)).bytes
                == [0x08, 0x09, 0x20, 0x01, 0x2a, 0x02, 0x10, 0x01])

        var options = CRIURequestOptions(imagesDirectory: 7)
        options.pid = 1234
        options.cgroupMode = .ignore
        options.pageServer = .init(address: "127.0.0.1", port: 40_000)
        options.external = ["net[4026531840]:extRootNetNS"]
        options.externalMounts = [.init(key: "/data", value: "/srv")]
        options.inherited = [.init(key: "pipe:[5]", descriptor: 1)]
        let request = try #require(ProtocolBufferReader(CRIURequest.dump(options).bytes))
        #expect(request.int32(1) == 1)
        let message = try #require(request.message(2))
        #expect(message.int32(1) == 7)
        #expect(message.int32(2) == 1234)
        #expect(message.bool(24) == true)
        #expect(message.int32(34) == 0)
        #expect(message.message(11)?.text(1) == "127.0.0.1")
        #expect(message.message(11)?.int32(2) == 40_000)
        #expect(message.text(37) == "net[4026531840]:extRootNetNS")
        #expect(message.message(23)?.text(1) == "/data")
        #expect(message.message(23)?.text(2) == "/srv")
        #expect(message.message(27)?.text(1) == "pipe:[5]")
        #expect(message.message(27)?.int32(2) == 1)
        // What was not asked for is not said.
        #expect(message.bool(3) == nil)
        #expect(message.text(13) == nil)
    }

    @Test func responsesAreRead() throws {
        var notification = ProtocolBufferWriter()
        notification.set(1, "post-restore")
        notification.set(2, Int32(77))
        var writer = ProtocolBufferWriter()
        writer.set(1, Int32(6))
        writer.set(2, true)
        writer.set(5, notification)
        let response = try #require(CRIUResponse(writer.bytes))
        #expect(response.kind == .notify)
        #expect(response.succeeded)
        #expect(response.script == "post-restore")
        #expect(response.pid == 77)

        writer = ProtocolBufferWriter()
        writer.set(1, Int32(0))
        writer.set(2, false)
        writer.set(7, Int32(ESRCH))
        writer.set(9, "Error (criu/x.c:1): no")
        let failure = try #require(CRIUResponse(writer.bytes))
        #expect(failure.kind == nil)
        #expect(!failure.succeeded)
        #expect(failure.errno == ESRCH)
        #expect(failure.reason == "Error (criu/x.c:1): no")

        #expect(CRIUResponse([]) == nil)
        #expect(CRIUResponse([0x08]) == nil)
    }

    @Test func versionsAreCompared() {
        #expect(CRIUVersion(major: 3, minor: 17) > CRIUVersion(major: 3, minor: 2, patch: 9))
        #expect(CRIUVersion(major: 4, minor: 0) > CRIUVersion(major: 3, minor: 19))
        #expect("\(CRIUVersion(major: 3, minor: 17, patch: 1))" == "3.17.1")
        #expect("\(CRIUVersion(major: 4, minor: 2))" == "4.2")
    }

    @Test func theLogsErrorsAreFound() {
        let log = """
            (00.000001) Version: 4.2
            (00.000002) Error (criu/a.c:1): first
            (00.000003) no Errors here
            (00.000004) Error (criu/b.c:2): second
            (00.000005) 77: Error (criu/c.c:3): third
            (00.000006) Error (criu/d.c:4): fourth
            (00.000007) Dumping FAILED.
            """
        #expect(
            CheckpointImages.errors(in: Array(log.utf8)) == [
                "Error (criu/b.c:2): second", "Error (criu/c.c:3): third", "Error (criu/d.c:4): fourth",
            ])
        #expect(CheckpointImages.errors(in: []).isEmpty)
    }

    @Test func pipesAmongTheStreamsAreNamedAsTheKernelNamesThem() throws {
        let pipe = try FD.pipe()
        let raw = pipe.writing.raw
        let name = try File.readLink("/proc/self/fd/\(raw)")
        let null = try File.open("/dev/null")
        #expect(StandardStreams.pipes([null.raw, raw, raw]) == ["", name, name])
        #expect(StandardStreams.pipes([null.raw, null.raw, null.raw]).isEmpty)
    }
}
