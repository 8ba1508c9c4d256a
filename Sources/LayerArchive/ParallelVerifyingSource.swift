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

/// A ring of buffers, and the thread that hashes what is put into them.
private final class Hashing: @unchecked Sendable {  // what both threads touch is behind the mutex
    static let slotSize = 256 << 10
    private static let slots = 4

    private let memory = StreamBuffer(slotSize * slots)
    private var hasher: DigestHasher
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var thread: pthread_t?
    /// Slots that were filled and emptied since the beginning, and how full each is.
    private var filled = 0
    private var emptied = 0
    private var counts = [Int](repeating: 0, count: slots)
    private var ended = false

    init(_ hasher: DigestHasher) {
        self.hasher = hasher
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    func start() {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self)
        let error = pthread_create(
            &thread, nil,
            { context in
                Unmanaged<Hashing>.fromOpaque(context!).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        if error == 0 { self.thread = thread } else { context.release() }
    }

    private func slot(_ number: Int) -> UnsafeMutableRawBufferPointer {
        let start = number % Self.slots * Self.slotSize
        return UnsafeMutableRawBufferPointer(rebasing: memory.bytes[start..<start + Self.slotSize])
    }

    func add(_ bytes: UnsafeRawBufferPointer) {
        // Without a thread to be had, the caller's does it.
        guard thread != nil else { return hasher.update(bytes) }
        pthread_mutex_lock(mutex)
        while filled - emptied == Self.slots { pthread_cond_wait(changed, mutex) }
        let number = filled
        pthread_mutex_unlock(mutex)
        slot(number).copyMemory(from: bytes)
        pthread_mutex_lock(mutex)
        counts[number % Self.slots] = bytes.count
        filled += 1
        pthread_cond_signal(changed)
        pthread_mutex_unlock(mutex)
    }

    private func run() {
        while true {
            pthread_mutex_lock(mutex)
            while filled == emptied, !ended { pthread_cond_wait(changed, mutex) }
            guard filled > emptied else {
                pthread_mutex_unlock(mutex)
                return
            }
            let number = emptied
            let count = counts[number % Self.slots]
            pthread_mutex_unlock(mutex)
            hasher.update(UnsafeRawBufferPointer(rebasing: slot(number)[..<count]))
            pthread_mutex_lock(mutex)
            emptied += 1
            pthread_cond_signal(changed)
            pthread_mutex_unlock(mutex)
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
        pthread_mutex_lock(mutex)
        ended = true
        pthread_cond_signal(changed)
        pthread_mutex_unlock(mutex)
        pthread_join(thread, nil)
        self.thread = nil
    }
}
