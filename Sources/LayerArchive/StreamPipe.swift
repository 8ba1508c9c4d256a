public import LinuxSystem

/// Bytes on the way from one thread to another: the stages of a transfer
/// (download, inflate, unpack) work at the same time, each on its own core.
final class StreamPipe: @unchecked Sendable {
    private final class Slot {
        let buffer = StreamBuffer(streamBufferSize)
        var count = 0
    }

    private let ring: SlotRing<Slot>
    /// Set before the last slot, an empty one, is handed.
    private var failure: (any Error)?
    /// Of the slot at hand on the reading side.
    private var current: Slot?
    private var position = 0
    private var ended = false

    /// - Parameter slots: how many buffers go round, of `streamBufferSize` each.
    init(slots: Int = 4) { ring = SlotRing((0..<slots).map { _ in Slot() }) }

    // MARK: The thread that fills

    /// Reads the source until it ends, fails, or nobody wants more of it.
    func fill(from source: any ByteSource) {
        var failure: (any Error)?
        while failure == nil, let slot = ring.vacant() {
            slot.count = 0
            do {
                while slot.count < slot.buffer.bytes.count {
                    let free = UnsafeMutableRawBufferPointer(rebasing: slot.buffer.bytes[slot.count...])
                    let count = try source.read(into: free)
                    if count == 0 { break }
                    slot.count += count
                }
            } catch {
                failure = error
            }
            let isLast = slot.count == 0
            if isLast { self.failure = failure }
            ring.hand()
            if isLast { return }
        }
        // What came before the failure went first.
        if failure != nil { end(failure) }
    }

    /// Takes all the bytes.
    /// - Returns: False when nobody wants more of them.
    func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            guard let slot = ring.vacant() else { return false }
            slot.count = min(rest.count, slot.buffer.bytes.count)
            slot.buffer.bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<slot.count]))
            rest = UnsafeRawBufferPointer(rebasing: rest[slot.count...])
            ring.hand()
        }
        return true
    }

    /// - Parameter failure: what the reader gets in place of the end.
    func end(_ failure: (any Error)? = nil) {
        guard let slot = ring.vacant() else { return }
        slot.count = 0
        self.failure = failure
        ring.hand()
    }

    // MARK: The thread that reads

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        if ended { return 0 }
        if current == nil {
            let slot = ring.filled()
            guard slot.count > 0 else {
                ended = true
                if let failure { throw failure }
                return 0
            }
            current = slot
            position = 0
        }
        let slot = current!
        let count = min(buffer.count, slot.count - position)
        buffer.copyMemory(
            from: UnsafeRawBufferPointer(rebasing: slot.buffer.bytes[position..<position + count]))
        position += count
        if position == slot.count {
            current = nil
            ring.giveBack()
        }
        return count
    }

    /// Nothing more will be read.
    func close() { ring.close() }
}

/// Reads another source ahead, on a thread of its own. From the end, or a
/// failure, on the other source is at rest and may be asked for its digest.
public final class ReadAheadSource: ByteSource {
    private struct Inner: @unchecked Sendable { var source: any ByteSource }

    private let source: any ByteSource
    private let pipe: StreamPipe
    /// Nil where no thread could be had: then the source is read when it is asked for.
    private let thread: JoinedThread?

    public init(_ source: any ByteSource) {
        self.source = source
        pipe = StreamPipe()
        let inner = Inner(source: source)
        thread = try? JoinedThread { [pipe] in pipe.fill(from: inner.source) }
    }

    /// - Parameter slots: how far ahead it reads at most, in multiples of `streamBufferSize`.
    /// - Throws: when no thread can be had.
    public init(threaded source: any ByteSource, slots: Int) throws(SystemError) {
        self.source = source
        pipe = StreamPipe(slots: slots)
        let inner = Inner(source: source)
        thread = try JoinedThread { [pipe] in pipe.fill(from: inner.source) }
    }

    deinit { pipe.close() }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard let thread else { return try source.read(into: buffer) }
        do {
            let count = try pipe.read(into: buffer)
            if count == 0 { thread.join() }
            return count
        } catch {
            thread.join()
            throw error
        }
    }
}

/// What a writer writes, as a source: the writer runs on a thread of its own.
public final class WrittenSource: ByteSource {
    private let pipe = StreamPipe()
    private let thread: JoinedThread

    /// Thrown to a writer whose bytes nobody wants any more.
    private struct Unwanted: Error {}

    private final class Sink: ByteSink {
        let pipe: StreamPipe
        init(_ pipe: StreamPipe) { self.pipe = pipe }
        func write(_ bytes: UnsafeRawBufferPointer) throws {
            guard pipe.write(bytes) else { throw Unwanted() }
        }
    }

    /// - Parameter writer: What it throws, the reader gets in place of the end.
    public init(_ writer: @escaping @Sendable (any ByteSink) throws -> Void) throws(SystemError) {
        thread = try JoinedThread { [pipe] in
            do {
                try writer(Sink(pipe))
                pipe.end()
            } catch is Unwanted {
            } catch {
                pipe.end(error)
            }
        }
    }

    deinit { pipe.close() }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int { try pipe.read(into: buffer) }
}
