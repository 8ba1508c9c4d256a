import ContainerStorage
import LayerArchive
import LinuxSystem
import Testing

/// Downloads whose line broke, or whose process was killed, and those who come after them.
@Suite struct ResumptionTests {
    private let scratch: Scratch
    private let store: Store
    private let layer: TestLayer
    private var size: Int64 { Int64(layer.blob.count) }
    private var partial: String { "\(scratch.root)/partial/\(layer.digest.hex)" }

    init() throws {
        scratch = try Scratch()
        store = try scratch.open()
        layer = try Self.layer()
    }

    private static func layer() throws -> TestLayer {
        try TestLayer(.none) { writer in
            for number in 0..<24 {
                try writer.add(
                    TarEntry(.regular, "f\(number)"),
                    contents: (0..<125_000).map { UInt8(truncatingIfNeeded: ($0 >> 5) * ($0 + number)) })
            }
        }
    }

    /// - Returns: where the download began.
    private func fetch(_ line: Line) -> [Int64] {
        do throws(StorageError) {
            line.layer = try store.ingestLayer(
                blob: layer.digest, size: size, diffID: layer.diffID, from: line.source(layer.blob))
        } catch {
            line.error = error
        }
        return line.starts
    }

    private var partials: [String] { (try? File.names(in: "\(scratch.root)/partial")) ?? [] }

    @Test func goesOnWhereTheLineBroke() throws {
        let broken = Line(breaksAt: 2_000_000)
        #expect(fetch(broken) == [0])
        #expect(broken.error?.code == .source)
        #expect(store.content == [])
        let usage = try store.usage()
        #expect(usage.imagesSize == 2_000_000 && usage.imagesReclaimable == 2_000_000)
        #expect(try store.check(quick: false).isEmpty)
        #expect(try store.sweep().isEmpty)
        #expect(fetch(Line(breaksAt: 2_500_000)) == [2_000_000])
        let last = Line()
        #expect(fetch(last) == [2_500_000])
        #expect(last.layer != nil && last.bytes == layer.blob.count - 2_500_000)
        #expect(partials == [])
        let image = try TestImage([layer]).put(store)
        #expect(try store.check(quick: false).isEmpty)
        try store.removeImage(image.id)
        #expect(store.content == [])
    }

    @Test func goesOnAfterAKill() async throws {
        let root = scratch.root
        await #expect(processExitsWith: .signal(SIGKILL)) { [root = root as String] in
            let store = try Store.open(root: root, runRoot: root + ".run")
            let layer = try ResumptionTests.layer()
            let line = Line(breaksAt: 2_000_000) { kill(getpid(), SIGKILL) }
            _ = try store.ingestLayer(
                blob: layer.digest, size: Int64(layer.blob.count), diffID: layer.diffID,
                from: line.source(layer.blob))
        }
        try store.sweep()
        #expect(store.content == [])
        let line = Line()
        let starts = fetch(line)
        #expect(starts.count == 1 && starts[0] > 1_000_000)
        #expect(line.layer != nil)
    }

    /// As a power failure may leave it, or a bad disk.
    @Test(arguments: [1000, 1_500_000]) func whatWasKeptIsNotBelieved(_ place: Int) throws {
        _ = fetch(Line(breaksAt: 2_000_000))
        var bytes = try File.read(partial)
        for index in place..<place + 4096 { bytes[index] = bytes[index] &+ 1 }
        try File.replace(partial, with: bytes)
        let line = Line()
        #expect(fetch(line) == [2_000_000, 0])
        #expect(line.layer?.blobSize == size)
        #expect(partials == [])
    }

    @Test func allOfItMayBeHere() throws {
        try File.makeDirectories("\(scratch.root)/partial")
        try File.replace(partial, with: layer.blob)
        let line = Line()
        #expect(fetch(line) == [size])
        #expect(line.bytes == 0 && line.layer?.blobSize == size)
    }

    @Test func moreThanAllOfItIsOfSomethingElse() throws {
        try File.makeDirectories("\(scratch.root)/partial")
        try File.replace(partial, with: layer.blob + [0])
        let line = Line()
        #expect(fetch(line) == [0])
        #expect(line.layer?.blobSize == size)
    }

    /// A wrong blob is fetched anew once, and then it is the registry's fault.
    @Test func nothingStaysOfWhatIsWrong() throws {
        _ = fetch(Line(breaksAt: 2_000_000))
        let lying = Line(flips: true)
        #expect(fetch(lying) == [2_000_000, 0])
        #expect(lying.error != nil && lying.error?.code != .source)
        #expect(partials == [] && store.content == [])
        let refusing = Line(breaksAt: 1_500_000, interrupted: false)
        #expect(fetch(refusing) == [0])
        #expect(refusing.error?.code == .source)
        #expect(partials == [] && store.content == [])
    }

    @Test func smallBlobsAreNotKept() throws {
        let small = try TestLayer(.none) { try $0.add(TarEntry(.regular, "a"), contents: noise(500_000)) }
        let line = Line(breaksAt: 400_000)
        #expect(throws: StorageError.self) {
            try store.ingestLayer(
                blob: small.digest, size: Int64(small.blob.count), diffID: small.diffID,
                from: line.source(small.blob))
        }
        #expect(partials == [] && store.content == [])
    }

    @Test func nobodyCameBack() throws {
        _ = fetch(Line(breaksAt: 2_000_000))
        try store.sweep()
        #expect(partials.count == 1)
        var times = [timespec(), timespec()]
        for index in times.indices { times[index].tv_sec = time(nil) - 4 * 24 * 3600 }
        #expect(utimensat(AT_FDCWD, partial, times, 0) == 0)
        try store.sweep()
        #expect(partials == [] && store.content == [])
    }

    @Test func removedOnDemand() throws {
        _ = fetch(Line(breaksAt: 2_000_000))
        try store.discardPartials()
        #expect(partials == [] && store.content == [])
        #expect(fetch(Line()) == [0])
    }

    /// Space that is needed now is not kept for what may be of use one day.
    @Test func aFullDisk() throws {
        let scratch = try Scratch()
        try scratch.limit(toKiB: 5000)
        let store = try scratch.open(driver: "vfs")
        let broken = Line(breaksAt: 1_500_000)
        #expect(throws: StorageError.self) {
            try store.ingestLayer(
                blob: layer.digest, size: size, diffID: layer.diffID, from: broken.source(layer.blob))
        }
        #expect(store.content == [])
        #expect(try File.names(in: scratch.root + "/partial").count == 1)
        let large = try TestLayer(.none) { try $0.add(TarEntry(.regular, "a"), contents: noise(6_000_000)) }
        let error = #expect(throws: StorageError.self) { try store.ingest(large) }
        #expect(error?.code == .noSpace)
        #expect(try File.names(in: scratch.root + "/partial") == [])
        #expect(store.content == [])
    }

    @Test func oneAtATime() throws {
        _ = fetch(Line(breaksAt: 2_000_000))
        let lines = [Line(), Line(), Line()]
        try Threads.parallel(limit: 3, lines) { [store, layer] line in
            _ = try store.ingestLayer(
                blob: layer.digest, size: Int64(layer.blob.count), diffID: layer.diffID,
                from: line.source(layer.blob))
        }
        #expect(lines.flatMap(\.starts) == [2_000_000])
    }
}

/// The way that the bytes of a blob come.
private final class Line: @unchecked Sendable {
    private let breaksAt: Int?
    private let interrupted: Bool
    private let flips: Bool
    private let trip: () -> Void
    /// Where each source began.
    var starts: [Int64] = []
    /// How many came.
    var bytes = 0
    var error: StorageError?
    var layer: LayerInfo?

    /// - Parameters:
    ///   - interrupted: breaks through nobody's fault.
    ///   - flips: one bit of the last byte is wrong.
    init(
        breaksAt: Int? = nil, interrupted: Bool = true, flips: Bool = false, _ trip: @escaping () -> Void = {}
    ) {
        self.breaksAt = breaksAt
        self.interrupted = interrupted
        self.flips = flips
        self.trip = trip
    }

    func source(_ blob: [UInt8]) -> Source { Source(self, blob) }

    final class Source: ResumableSource {
        private struct Broken: Error {}
        private let line: Line
        private let blob: [UInt8]
        private var position = 0
        private(set) var wasInterrupted = false

        init(_ line: Line, _ blob: [UInt8]) {
            self.line = line
            self.blob = blob
            line.starts.append(0)
        }

        func resume(at position: Int64) -> Bool {
            guard position <= blob.count else { return false }
            self.position = Int(position)
            line.starts[line.starts.count - 1] = position
            return true
        }

        func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
            let end = line.breaksAt ?? blob.count
            if position == line.breaksAt {
                line.trip()
                wasInterrupted = line.interrupted
                throw Broken()
            }
            let count = min(buffer.count, end - position)
            buffer.copyBytes(from: blob[position..<position + count])
            position += count
            line.bytes += count
            if line.flips, count > 0, position == blob.count { buffer[count - 1] ^= 1 }
            return count
        }
    }
}
