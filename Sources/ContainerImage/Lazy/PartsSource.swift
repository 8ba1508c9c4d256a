internal import LayerArchive
internal import LinuxSystem

/// A blob made of parts: some are in files here, some are fetched, a few at once and in order, and
/// its tail is in memory.
final class PartsSource: ByteSource {
    private let parts: [FramePlan.Part]
    private let tail: BytesSource
    private let files: [SharedFile]
    private let fetch: @Sendable (Range<Int64>) throws -> any ByteSource
    /// The part that is read, what is left of it, and where its bytes come from.
    private var position = 0
    private var current: (any ByteSource)?
    private var left: Int64 = 0
    /// Fetches on the way, for the next parts that need one.
    private var underWay: [any ByteSource] = []
    private var nextFetch = 0

    init(
        _ plan: FramePlan, files: [SharedFile], tail: [UInt8],
        fetch: @escaping @Sendable (Range<Int64>) throws -> any ByteSource
    ) {
        parts = plan.parts
        self.files = files
        self.tail = BytesSource(tail)
        self.fetch = fetch
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        if current == nil {
            guard position < parts.count else { return tail.read(into: buffer) }
            try next()
        }
        let wanted = Int(min(Int64(buffer.count), left))
        let count = try current!.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]))
        guard count > 0 else { throw ArchiveError(.truncated, "a part of the layer ends too early") }
        left -= Int64(count)
        if left == 0 {
            current = nil
            position += 1
        }
        return count
    }

    private func next() throws {
        let part = parts[position]
        left = part.length
        try fetchAhead()
        if let place = part.place {
            current = FileRange(files[place.source], offset: place.offset, size: part.length)
        } else {
            current = underWay.removeFirst()
        }
    }

    private func fetchAhead() throws {
        while underWay.count < TransferRate.parallel, nextFetch < parts.count {
            let part = parts[nextFetch]
            nextFetch += 1
            guard part.place == nil else { continue }
            underWay.append(ReadAheadSource(try fetch(part.offset..<part.offset + part.length)))
        }
    }
}
