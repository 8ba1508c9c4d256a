import CISAL
import LinuxSystem
import Synchronization

/// A thread that deflates every nth piece of a stream; one of its pieces is filled while it works on
/// the other. All but the thread itself is for the one who fills.
final class DeflatingLane: @unchecked Sendable {
    static let pieceCount = 2
    /// In bytes of the input.
    private static let pieceSize = 512 << 10
    /// How far back deflate refers (RFC 1951).
    private static let historySize = 32 << 10

    private final class Piece {
        let input = StreamBuffer(pieceSize)
        var count = 0
        var isLast = false
        /// The end of the piece before.
        var history: [UInt8] = []
        /// ISA-L's answer, and what came out.
        var result = COMP_OK
        var output = StreamBuffer(pieceSize + 4096)
        var outputCount = 0
        var isHanded = false
        let done = Semaphore(0)

        func grow() {
            let larger = StreamBuffer(2 * output.bytes.count)
            larger.bytes.copyMemory(from: UnsafeRawBufferPointer(output.bytes))
            output = larger
        }
    }

    private let pieces = (0..<pieceCount).map { _ in Piece() }
    private var filling = 0
    private let stream: UnsafeMutablePointer<isal_zstream>
    private let level: UInt32
    private let levelBuffer = StreamBuffer(1 << 20)
    private let arrivals = Semaphore(0)
    private let isOver = Atomic(false)
    private var thread: JoinedThread?

    /// - Parameter level: ISA-L's, 1 to 3.
    init(level: UInt32) {
        self.level = level
        stream = .allocate(capacity: 1)
    }

    deinit { stream.deallocate() }

    /// Ends the thread; what it has not deflated is lost.
    func end() {
        isOver.store(true, ordering: .releasing)
        arrivals.raise()
        thread?.join()
    }

    var isFull: Bool { pieces[filling].count == Self.pieceSize }

    /// Takes what there is room for, after what its place held before has gone to the sink.
    /// - Returns: how many bytes that were.
    func fill(_ bytes: UnsafeRawBufferPointer, after history: [UInt8], _ sink: any ByteSink) throws -> Int {
        let piece = pieces[filling]
        try empty(piece, to: sink)
        piece.history = history
        let room = UnsafeMutableRawBufferPointer(rebasing: piece.input.bytes[piece.count..<Self.pieceSize])
        let part = UnsafeRawBufferPointer(rebasing: bytes.prefix(room.count))
        room.copyMemory(from: part)
        piece.count += part.count
        return part.count
    }

    /// Has a full piece deflated.
    /// - Returns: what the next piece may refer to.
    func hand() -> [UInt8] {
        if thread == nil {
            let first = filling
            thread = try? JoinedThread { self.work(from: first) }
        }
        let end = Array(pieces[filling].input.bytes[..<Self.pieceSize].suffix(Self.historySize))
        handOver()
        return end
    }

    /// Deflates the stream's last piece, which may be empty.
    func handLast(_ sink: any ByteSink) throws {
        let piece = pieces[filling]
        try empty(piece, to: sink)
        piece.isLast = true
        handOver()
    }

    private func handOver() {
        let piece = pieces[filling]
        piece.isHanded = true
        if thread == nil { deflate(piece) } else { arrivals.raise() }
        filling = (filling + 1) % Self.pieceCount
    }

    /// Sends on what the oldest piece became.
    func collect(_ sink: any ByteSink) throws {
        try empty(pieces[filling], to: sink)
        filling = (filling + 1) % Self.pieceCount
    }

    private func empty(_ piece: Piece, to sink: any ByteSink) throws {
        guard piece.isHanded else { return }
        piece.done.lower()
        piece.isHanded = false
        piece.count = 0
        guard piece.result == COMP_OK else {
            throw ArchiveError(.unsupported, "gzip compression failed (\(piece.result))")
        }
        try sink.write(UnsafeRawBufferPointer(rebasing: piece.output.bytes[..<piece.outputCount]))
    }

    // MARK: The thread

    private func work(from first: Int) {
        var emptying = first
        while true {
            arrivals.lower()
            if isOver.load(ordering: .acquiring) { return }
            deflate(pieces[emptying])
            emptying = (emptying + 1) % Self.pieceCount
        }
    }

    /// The piece's blocks end at a byte's border.
    private func deflate(_ piece: Piece) {
        defer { piece.done.raise() }
        isal_deflate_init(stream)
        stream.pointee.level = level
        stream.pointee.level_buf = levelBuffer.bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
        stream.pointee.level_buf_size = UInt32(levelBuffer.bytes.count)
        stream.pointee.gzip_flag = UInt16(IGZIP_DEFLATE)
        stream.pointee.flush = UInt16(FULL_FLUSH)
        if !piece.history.isEmpty {
            piece.result = piece.history.withUnsafeMutableBufferPointer {
                isal_deflate_set_dict(stream, $0.baseAddress, UInt32($0.count))
            }
            guard piece.result == COMP_OK else { return }
        }
        stream.pointee.next_in = piece.input.bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_in = UInt32(piece.count)
        stream.pointee.end_of_stream = piece.isLast ? 1 : 0
        piece.outputCount = 0
        repeat {
            // What cannot be made shorter becomes a little longer.
            if piece.outputCount == piece.output.bytes.count { piece.grow() }
            let room = piece.output.bytes[piece.outputCount...]
            stream.pointee.next_out = UnsafeMutableRawBufferPointer(rebasing: room).baseAddress!
                .assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_out = UInt32(room.count)
            piece.result = isal_deflate(stream)
            piece.outputCount += room.count - Int(stream.pointee.avail_out)
        } while piece.result == COMP_OK && stream.pointee.avail_out == 0
    }
}
