import LinuxSystem
import Testing

@testable import LayerArchive

/// Gives out at most so many bytes a read.
final class DribblingSource: ByteSource {
    private let bytes: [UInt8]
    private let step: Int
    private var position = 0
    init(_ bytes: [UInt8], step: Int) {
        self.bytes = bytes
        self.step = step
    }
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(step, buffer.count, bytes.count - position)
        for index in 0..<count { buffer[index] = bytes[position + index] }
        position += count
        return count
    }
}

/// Bytes that compress, but not to nothing.
func sampleBytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var random = SplitMix(seed)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 64)
    while bytes.count < count {
        if random.next() % 3 == 0, bytes.count > 4096 {
            let start = bytes.count - 1 - Int(random.next() % 4000)
            let length = min(Int(random.next() % 200), bytes.count - start)
            bytes.append(contentsOf: Array(bytes[start..<start + length]))
        } else {
            let value = random.next()
            for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift * 8)) & 0x7F) }
        }
    }
    return Array(bytes.prefix(count))
}

struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

func compressed(_ bytes: [UInt8], _ compression: Compression, level: Int? = nil) throws -> [UInt8] {
    if compression == .bzip2 { return try bzip2(bytes) }
    let output = BytesSink()
    let sink = try CompressingSink(compression, to: output, level: level)
    try sink.write(bytes)
    try sink.finish()
    return output.bytes
}

/// By the program: nothing of ours writes bzip2.
func bzip2(_ bytes: [UInt8]) throws -> [UInt8] {
    let plain = try File.open("/tmp", O_RDWR | O_TMPFILE, mode: 0o600)
    let packed = try File.open("/tmp", O_RDWR | O_TMPFILE, mode: 0o600)
    try bytes.withUnsafeBytes { try FD.writeAll(plain.raw, $0) }
    lseek(plain.raw, 0, SEEK_SET)
    let pid = try Spawn.start("bzip2", ["bzip2", "-c"], descriptors: [plain.raw, packed.raw, 2])
    try #require(Spawn.wait(pid).exitCode == 0)
    lseek(packed.raw, 0, SEEK_SET)
    return try FD.readAll(packed.raw, limit: 64 << 20)
}

func archiveError(_ body: () throws -> Void) -> ArchiveError.Code? {
    do {
        try body()
        return nil
    } catch {
        return (error as? ArchiveError)?.code
    }
}

@Suite struct DigestTests {
    @Test func knownValues() throws {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        #expect(Digest.sha256(of: []).description == empty)
        #expect(
            Digest.sha256(of: Array("abc".utf8)).hex
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(try Digest(parsing: empty) == Digest.sha256(of: []))
        var hash = DigestHasher(.sha512)
        Array("abc".utf8).withUnsafeBytes { hash.update($0) }
        #expect(hash.finalize().hex.hasPrefix("ddaf35a193617abacc417349ae204131"))
    }

    @Test(arguments: [
        "", "sha256", "sha256:", "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85",
        "sha256:../../../../../../../../../../../../../../../../../../../../etc/passwd0",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n",
    ])
    func refused(text: String) {
        #expect(archiveError { _ = try Digest(parsing: text) } == .invalidDigest)
    }
}

@Suite struct StreamTests {
    @Test(arguments: Compression.allCases, [0, 1, 5, 511, 300_000, 3_000_000])
    func roundTrip(compression: Compression, size: Int) throws {
        let bytes = sampleBytes(size)
        let packed = try compressed(bytes, compression)
        for step in [1 << 20, 100_001] {
            let source = DecompressingSource(DribblingSource(packed, step: step))
            #expect(try source.compression() == compression)
            #expect(try source.readAll(limit: size) == bytes)
        }
        if size < 1000 {
            let source = DecompressingSource(DribblingSource(packed, step: 1))
            #expect(try source.readAll(limit: size) == bytes)
        }
        #expect(try compressed(bytes, compression) == packed)
    }

    @Test(arguments: [Compression.gzip, .zstd, .bzip2])
    func smallOutput(compression: Compression) throws {
        let bytes = sampleBytes(100_000)
        let source = DecompressingSource(BytesSource(try compressed(bytes, compression)))
        var output: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 7)
        while true {
            let count = try piece.withUnsafeMutableBytes { try source.read(into: $0) }
            if count == 0 { break }
            output += piece[..<count]
        }
        #expect(output == bytes)
    }

    @Test(arguments: [Compression.gzip, .zstd, .bzip2])
    func severalMembers(compression: Compression) throws {
        let first = sampleBytes(70_000, seed: 2)
        let second = sampleBytes(300_000, seed: 3)
        var packed = try compressed(first, compression)
        packed += try compressed([], compression)
        packed += try compressed(second, compression)
        for step in [1, 1000, 1 << 20] {
            let source = DecompressingSource(DribblingSource(packed, step: step))
            #expect(try source.readAll(limit: 1 << 20) == first + second)
        }
    }

    /// Members without contents, which are no reason to go a level deeper (CVE-2022-30631 of Go's gzip).
    @Test func manyEmptyMembers() throws {
        let empty = try compressed([], .gzip)
        let packed = Array(repeatElement(empty, count: 200_000).joined()) + (try compressed([7], .gzip))
        #expect(try DecompressingSource(BytesSource(packed)).readAll(limit: 2) == [7])
    }

    @Test func gzipPaddingAndRubbish() throws {
        let packed = try compressed([1, 2, 3], .gzip)
        let padded = DecompressingSource(BytesSource(packed + [UInt8](repeating: 0, count: 600)))
        #expect(try padded.readAll(limit: 10) == [1, 2, 3])
        let rubbish = DecompressingSource(BytesSource(packed + [7]))
        #expect(archiveError { _ = try rubbish.readAll(limit: 10) } == .malformed)
    }

    @Test(arguments: [Compression.gzip, .zstd, .bzip2])
    func truncation(compression: Compression) throws {
        let packed = try compressed(sampleBytes(5000), compression)
        for length in 6..<packed.count {
            let source = DecompressingSource(BytesSource(Array(packed[..<length])))
            #expect(archiveError { try source.drain() } == .truncated, "at \(length)")
        }
    }

    @Test(arguments: [Compression.gzip, .zstd, .bzip2])
    func damage(compression: Compression) throws {
        let bytes = sampleBytes(20_000)
        let packed = try compressed(bytes, compression)
        var random = SplitMix(9)
        for _ in 0..<500 {
            var bad = packed
            // Not the gzip header's name of the system, time and flags.
            let position = 10 + Int(random.next() % UInt64(packed.count - 10))
            bad[position] ^= 1 << UInt8(random.next() % 8)
            let source = HashingSource(DecompressingSource(BytesSource(bad), compression: compression))
            let code = archiveError { try source.drain() }
            // A few bits of a stream say nothing; all others must be noticed.
            let noticed = code == .malformed || code == .truncated
            #expect(noticed || source.digest == .sha256(of: bytes), "byte \(position)")
        }
    }

    @Test func bzip2Rubbish() throws {
        let packed = try compressed([1, 2, 3], .bzip2)
        let rubbish = DecompressingSource(BytesSource(packed + [0]))
        #expect(archiveError { _ = try rubbish.readAll(limit: 10) } == .malformed)
        // What only looks so.
        let text = Array("BZh9xyz".utf8)
        #expect(try DecompressingSource(BytesSource(text)).readAll(limit: 10) == text)
    }

    @Test(arguments: Compression.allCases) func oneCompressionOnly(compression: Compression) throws {
        let packed = try compressed(sampleBytes(1000), compression)
        let source = DecompressingSource(DribblingSource(packed, step: 7), only: .bzip2)
        #expect(
            try source.readAll(limit: 1 << 16) == (compression == .bzip2 ? sampleBytes(1000) : packed))
    }

    @Test func otherFormats() {
        let xz: [UInt8] = [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00, 0, 0]
        #expect(archiveError { try DecompressingSource(BytesSource(xz)).drain() } == .unsupported)
        #expect(archiveError { _ = try CompressingSink(.bzip2, to: BytesSink()) } == .unsupported)
    }

    @Test func verification() throws {
        let bytes = sampleBytes(400_000)
        let digest = Digest.sha256(of: bytes)
        func check(_ bytes: [UInt8], _ size: Int64?) -> ArchiveError.Code? {
            archiveError {
                try VerifyingSource(DribblingSource(bytes, step: 1234), expected: digest, size: size).drain()
            }
        }
        #expect(check(bytes, nil) == nil)
        #expect(check(bytes, 400_000) == nil)
        #expect(check(bytes, 399_999) == .sizeMismatch)
        #expect(check(bytes, 400_001) == .sizeMismatch)
        #expect(check(Array(bytes.dropLast()), nil) == .digestMismatch)
        #expect(check(bytes.reversed(), 400_000) == .digestMismatch)
    }

    @Test(arguments: [0, 1, 256 << 10, 1_300_000]) func verificationInAThread(_ count: Int) throws {
        let bytes = sampleBytes(count)
        let digest = Digest.sha256(of: bytes)
        func check(_ bytes: [UInt8], _ size: Int64) -> ArchiveError.Code? {
            archiveError {
                let source = ParallelVerifyingSource(
                    DribblingSource(bytes, step: 70_001), expected: digest, size: size)
                let read = try source.readAll(limit: 2 << 20)
                #expect(read == bytes)
            }
        }
        #expect(check(bytes, Int64(count)) == nil)
        #expect(check(bytes, Int64(count) + 1) == .sizeMismatch)
        #expect(check(bytes + [7], Int64(count)) == .sizeMismatch)
        if count > 0 {
            var wrong = bytes
            wrong[count / 2] ^= 1
            #expect(check(wrong, Int64(count)) == .digestMismatch)
        }
        // One that is given up in the middle leaves no thread behind.
        _ = ParallelVerifyingSource(BytesSource(bytes), expected: digest, size: Int64(count))
    }

    @Test func verifyingFinishReadsWhatTheInflaterLeft() throws {
        let packed = try compressed(sampleBytes(10_000), .gzip) + [UInt8](repeating: 0, count: 500_000)
        let verifying = VerifyingSource(
            BytesSource(packed), expected: .sha256(of: packed), size: Int64(packed.count))
        let plain = DecompressingSource(verifying)
        _ = try plain.readAll(limit: 1 << 20)
        try verifying.finish()
        #expect(verifying.count == Int64(packed.count))
    }

    @Test func hashingAndTee() throws {
        let bytes = sampleBytes(300_000)
        let copy = BytesSink()
        let hashedCopy = HashingSink(copy)
        let source = HashingSource(TeeSource(BytesSource(bytes), to: hashedCopy))
        #expect(try source.drain() == 300_000)
        #expect(source.digest == .sha256(of: bytes))
        #expect(source.count == 300_000)
        #expect(hashedCopy.digest == source.digest && hashedCopy.count == 300_000)
        #expect(copy.bytes == bytes)
    }

    @Test(arguments: [Compression.gzip, .zstd, .bzip2]) func limits(compression: Compression) throws {
        let bomb = try compressed([UInt8](repeating: 0, count: 10 << 20), compression)
        #expect(bomb.count < 100_000)
        let limited = LimitingSource(DecompressingSource(BytesSource(bomb)), limit: 1 << 20)
        #expect(archiveError { try limited.drain() } == .limitExceeded)
        #expect(archiveError { _ = try BytesSource([1, 2, 3]).readAll(limit: 2) } == .limitExceeded)
        #expect(try BytesSource([1, 2, 3]).readAll(limit: 3) == [1, 2, 3])
    }
}
