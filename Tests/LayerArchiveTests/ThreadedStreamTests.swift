import LinuxSystem
import Synchronization
import Testing

@testable import LayerArchive

@Suite struct ThreadedStreamTests {
    /// Gives bytes by a rule, and at the end fails if it is to.
    private final class Counting: ByteSource {
        struct Failure: Error {}
        private var left: Int
        private var next: UInt8 = 0
        private let fails: Bool
        init(_ count: Int, fails: Bool = false) {
            left = count
            self.fails = fails
        }
        func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
            if left == 0, fails { throw Failure() }
            // In odd pieces.
            let count = min(buffer.count, left, 7919)
            for index in 0..<count {
                buffer[index] = next
                next = next &* 5 &+ 1
            }
            left -= count
            return count
        }
    }

    @Test(arguments: [0, 1, 7919, 262_144, 262_145, 3_000_000]) func aheadIsTheSame(_ count: Int) throws {
        let plain = HashingSource(Counting(count))
        try plain.drain()
        let inner = HashingSource(Counting(count))
        let ahead = ReadAheadSource(inner)
        let outer = HashingSource(ahead)
        #expect(try outer.drain() == Int64(count))
        #expect(outer.digest == plain.digest)
        #expect(inner.digest == plain.digest)
        #expect(try ahead.drain() == 0)
    }

    @Test func failureComesInPlaceOfTheEnd() throws {
        let ahead = ReadAheadSource(Counting(1_000_000, fails: true))
        let hash = HashingSource(ahead)
        #expect(throws: Counting.Failure.self) { try hash.drain() }
        #expect(hash.count == 1_000_000)
        let written = try WrittenSource { sink in
            try sink.write([1, 2, 3])
            throw Counting.Failure()
        }
        #expect(throws: Counting.Failure.self) { try written.drain() }
    }

    /// Who stops reading waits for nobody.
    @Test func unwantedRestIsLeft() throws {
        let buffer = StreamBuffer(1000)
        do {
            let ahead = ReadAheadSource(ReadAheadSource(Counting(.max)))
            #expect(try ahead.read(into: buffer.bytes) > 0)
        }
        let wasRefused = Mutex(false)
        do {
            let written = try WrittenSource { sink in
                defer { wasRefused.withLock { $0 = true } }
                while true { try sink.write([UInt8](repeating: 1, count: 100_000)) }
            }
            #expect(try written.read(into: buffer.bytes) > 0)
        }
        #expect(wasRefused.withLock { $0 })
    }

    /// What fails on the second thread fails the whole.
    @Test func fullDiskWithManySmallFiles() throws {
        let scratch = try Scratch()
        let target = try scratch.directory("target")
        _ = target
        try scratch.run("mount -t tmpfs -o size=1m tmpfs target")
        defer { _ = try? scratch.shell("umount -l target") }
        let small = try File.open("target", at: scratch.root.raw, O_RDONLY | O_DIRECTORY)
        let bytes = try tar { writer in
            for number in 0..<400 {
                try writer.add(
                    TarEntry(.regular, "f\(number)"), contents: [UInt8](repeating: 7, count: 10_000))
            }
        }
        #expect(throws: (any Error).self) { try apply(bytes, to: small) }
        // As many as a layer needs for a second thread, and there is room for them.
        let fitting = try tar { writer in
            for number in 0..<200 {
                try writer.add(
                    TarEntry(.regular, "g\(number)"), contents: [UInt8](repeating: UInt8(number), count: 1000)
                )
            }
        }
        try TreeRemoval.removeContents(of: small.raw)
        try apply(fitting, to: small)
        for number in 0..<200 {
            #expect(
                try File.read("g\(number)", at: small.raw) == [UInt8](repeating: UInt8(number), count: 1000))
        }
    }

    @Test func longZerosBecomeHolesAndComeBack() throws {
        let scratch = try Scratch()
        let source = try scratch.directory("source")
        try scratch.run(
            """
            cd source; truncate -s 300M sparse; echo middle | dd of=sparse bs=1M seek=150 conv=notrunc 2>/dev/null
            echo end >> sparse; truncate -s 10M all; head -c 1000000 /dev/zero > dense; head -c 200000 /dev/urandom > noise
            echo start > tail; truncate -s 5000001 tail
            """)
        let target = try scratch.directory("target")
        let raw = source.raw
        try LayerApplier.apply(
            try WrittenSource { sink in
                let tree = try File.open(".", at: raw, O_RDONLY | O_DIRECTORY)
                try LayerDiff.write(tree: tree, to: sink)
            }, to: target, options: .init(whiteouts: .none))
        try expectSame(snapshot(source.raw), snapshot(target.raw))
        #expect(try File.status("sparse", at: target.raw).st_blocks * 512 < 1 << 20)
        #expect(try File.status("all", at: target.raw).st_blocks == 0)
        #expect(try File.status("noise", at: target.raw).st_blocks * 512 >= 200_000)
    }

    /// A file of 10 GiB, nearly all hole: as GNU tar's sparse formats have it, and in its size field.
    @Test(arguments: ["0.0", "0.1", "1.0"]) func hugeSparseFile(_ version: String) throws {
        let scratch = try Scratch()
        try scratch.run(
            """
            mkdir source; truncate -s 10G source/huge; echo there | dd of=source/huge bs=1M seek=9999 conv=notrunc 2>/dev/null
            tar --format=posix --sparse --sparse-version=\(version) -C source -cf tar huge
            """)
        let target = try scratch.directory("target")
        try apply(try scratch.bytes("tar"), to: target)
        let status = try File.status("huge", at: target.raw)
        #expect(status.st_size == 10 << 30 && status.st_blocks * 512 < 1 << 20)
        let header = BytesSink()
        var entry = TarEntry(.regular, "huge")
        entry.size = Int64(status.st_size)
        try TarWriter(header).write(headerOf: entry)
        let read = try #require(try TarReader(BytesSource(header.bytes)).next())
        #expect(read.size == 10 << 30)
    }
}

extension TarWriter {
    /// What goes ahead of the contents, alone.
    fileprivate func write(headerOf entry: TarEntry) throws {
        try begin(entry)
        // Enough contents that the header leaves the buffer.
        let bytes = [UInt8](repeating: 0, count: 1 << 20)
        try bytes.withUnsafeBytes { try write($0) }
    }
}
