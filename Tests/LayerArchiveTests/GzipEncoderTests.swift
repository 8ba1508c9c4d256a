import LinuxSystem
import Testing

@testable import LayerArchive

@Suite struct GzipEncoderTests {
    private static let piece = 512 << 10

    /// Around the borders of pieces, and more pieces than there are at once.
    @Test(arguments: [0, 1, piece - 1, piece, piece + 1, 3 * piece, 9 * piece + 77])
    func othersReadIt(count: Int) throws {
        let bytes = sampleBytes(count)
        let packed = try compressed(bytes, .gzip)
        #expect(try unpackedByGzip(packed, limit: count + 1) == bytes)
    }

    @Test func theSameHoweverItIsWritten() throws {
        let bytes = sampleBytes(1_500_000)
        let once = try compressed(bytes, .gzip)
        let output = BytesSink()
        let sink = try CompressingSink(.gzip, to: output)
        try bytes.withUnsafeBytes {
            var rest = $0[...]
            while !rest.isEmpty {
                try sink.write(UnsafeRawBufferPointer(rebasing: rest.prefix(77_777)))
                rest = rest.dropFirst(77_777)
            }
        }
        try sink.finish()
        #expect(output.bytes == once)
    }

    /// Larger than what came in, because nothing can be made shorter.
    @Test(arguments: [1, 5, 9]) func noise(level: Int) throws {
        var random = SplitMix(7)
        let bytes = (0..<1_200_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let packed = try compressed(bytes, .gzip, level: level)
        #expect(packed.count < bytes.count + bytes.count / 100)
        #expect(try unpackedByGzip(packed, limit: bytes.count + 1) == bytes)
    }

    @Test func whatIsGivenUpEndsItsThreads() throws {
        let before = try File.names(in: "/proc/self/task").count
        let bytes = [UInt8](repeating: 1, count: 5 * Self.piece)
        for _ in 0..<20 {
            let sink = try CompressingSink(.gzip, to: BytesSink())
            try sink.write(bytes)
        }
        // Other tests have threads too.
        #expect(try File.names(in: "/proc/self/task").count < before + 20)
    }

    @Test func failureOfTheSink() throws {
        let sink = try CompressingSink(.gzip, to: FullSink())
        let bytes = [UInt8](repeating: 1, count: 8 * Self.piece)
        #expect(throws: SystemError.self) {
            try sink.write(bytes)
            try sink.finish()
        }
    }

    private final class FullSink: ByteSink {
        func write(_ bytes: UnsafeRawBufferPointer) throws {
            if bytes.count > 10 { throw SystemError("write", "a full disk", .noSpace) }
        }
    }

    private func unpackedByGzip(_ packed: [UInt8], limit: Int) throws -> [UInt8] {
        let input = try File.open("/tmp", O_RDWR | O_TMPFILE, mode: 0o600)
        let output = try File.open("/tmp", O_RDWR | O_TMPFILE, mode: 0o600)
        try packed.withUnsafeBytes { try FD.writeAll(input.raw, $0) }
        lseek(input.raw, 0, SEEK_SET)
        let pid = try Spawn.start("gzip", ["gzip", "-dc"], descriptors: [input.raw, output.raw, 2])
        try #require(Spawn.wait(pid).exitCode == 0)
        lseek(output.raw, 0, SEEK_SET)
        return try FD.readAll(output.raw, limit: max(limit, 1 << 20) + 1)
    }
}
