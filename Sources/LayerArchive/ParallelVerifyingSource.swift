import LinuxSystem

/// A `VerifyingSource` that hashes in a thread of its own, while the bytes are already on their way
/// to where they go: hashing takes as long as all the rest of a download.
///
/// The failure comes in place of the end here too, so whoever makes bytes count only after their end
/// has the right ones.
public final class ParallelVerifyingSource: ByteSource {
    private let source: any ByteSource
    private let expected: Digest
    private let size: Int64
    private var count: Int64 = 0
    private var verified = false
    private let hashing: Hashing

    /// - Parameter size: the announced number of bytes.
    public init(_ source: any ByteSource, expected: Digest, size: Int64) {
        self.source = source
        self.expected = expected
        self.size = size
        hashing = Hashing(DigestHasher(expected.algorithm))
        hashing.start()
    }

    deinit { hashing.end() }

    /// - Throws: as `VerifyingSource.read`.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        if verified { return 0 }
        // No more than what one slot of the ring takes.
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(Hashing.slotSize))
        let read = try source.read(into: part)
        if read == 0 {
            try verify()
            return 0
        }
        count += Int64(read)
        guard count <= size else {
            throw ArchiveError(.sizeMismatch, "more than the announced \(size) bytes", on: "\(expected)")
        }
        hashing.add(UnsafeRawBufferPointer(rebasing: part[..<read]))
        return read
    }

    private func verify() throws(ArchiveError) {
        guard count == size else {
            throw ArchiveError(.sizeMismatch, "\(count) bytes instead of \(size)", on: "\(expected)")
        }
        let actual = hashing.finish()
        guard actual == expected else {
            throw ArchiveError(.digestMismatch, "the content has the digest \(actual)", on: "\(expected)")
        }
        verified = true
    }
}

/// A thread that hashes what is put into a ring of buffers.
private final class Hashing: @unchecked Sendable {  // the hasher is the thread's until that has ended
    static let slotSize = 256 << 10
    private static let slotCount = 4
    private final class Slot {
        let buffer = StreamBuffer(slotSize)
        var count = 0
    }

    private let ring = SlotRing((0..<slotCount).map { _ in Slot() })
    private var hasher: DigestHasher
    private var thread: JoinedThread?

    init(_ hasher: DigestHasher) { self.hasher = hasher }

    func start() { thread = try? JoinedThread { self.run() } }

    func add(_ bytes: UnsafeRawBufferPointer) {
        // Without a thread to be had, the caller's does it.
        guard thread != nil else { return hasher.update(bytes) }
        let slot = ring.vacant()!
        slot.buffer.bytes.copyMemory(from: bytes)
        slot.count = bytes.count
        ring.hand()
    }

    private func run() {
        while true {
            let slot = ring.filled()
            // The end is an empty one.
            if slot.count == 0 { return }
            hasher.update(UnsafeRawBufferPointer(rebasing: slot.buffer.bytes[..<slot.count]))
            ring.giveBack()
        }
    }

    /// The digest of all that was added.
    func finish() -> Digest {
        end()
        return hasher.finalize()
    }

    /// Waits for the thread, which hashes what is left.
    func end() {
        guard let thread else { return }
        self.thread = nil
        ring.vacant()!.count = 0
        ring.hand()
        thread.join()
    }
}
