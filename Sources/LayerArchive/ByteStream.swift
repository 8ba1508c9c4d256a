public import LinuxSystem
import Synchronization

/// Bytes that come one after another: a file, a download, what an inflater puts out.
///
/// Sources are stacked: a download, verified, copied aside, inflated, hashed
/// and applied is
///
///     let blob = VerifyingSource(download, expected: digest, size: size)
///     let tar = HashingSource(DecompressingSource(TeeSource(blob, to: file)))
///     try LayerApplier.apply(tar, to: root)
///     try blob.finish()
///     guard tar.digest == diffID else { … }
public protocol ByteSource: AnyObject {
    /// Puts up to `buffer.count` (at least one) bytes into the buffer.
    /// - Returns: How many; 0 only at the end, and from then on always.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
}

/// A source that can pass over bytes without reading them, as a file can.
public protocol SkippingSource: ByteSource {
    /// - Throws: `truncated` when there are not so many.
    func skip(_ count: Int64) throws
}

/// A source that can begin further on: a download.
public protocol ResumableSource: ByteSource {
    /// Leaves out the first bytes, which are here already. Only before the first read.
    /// - Returns: false when it cannot.
    func resume(at position: Int64) -> Bool
    /// Whether it ended early through nobody's fault, so that what came is worth keeping:
    /// a connection broke, and nothing was refused or found to be wrong.
    var wasInterrupted: Bool { get }
}

/// Where bytes go, one after another.
public protocol ByteSink: AnyObject {
    /// Takes all the bytes.
    func write(_ bytes: UnsafeRawBufferPointer) throws
}

/// The size of the buffers between streams: large enough that calls cost
/// nothing, small enough that what one stage writes the next finds in the cache.
public let streamBufferSize = 256 << 10

extension ByteSource {
    /// Fills the buffer unless the end comes first.
    public func readFully(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        var done = 0
        while done < buffer.count {
            let count = try read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[done...]))
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// Everything up to the end.
    /// - Throws: `limitExceeded` when there are more than `limit` bytes.
    public func readAll(limit: Int) throws -> [UInt8] {
        var output: [UInt8] = []
        let chunk = StreamBuffer(min(streamBufferSize, max(limit, 1) + 1))
        while true {
            let count = try read(into: chunk.bytes)
            if count == 0 { return output }
            output.append(contentsOf: chunk.bytes[..<count])
            if output.count > limit {
                throw ArchiveError(.limitExceeded, "more than \(limit) bytes")
            }
        }
    }

    /// Sends everything up to the end to the sink.
    /// - Returns: How many bytes that were.
    @discardableResult
    public func copy(to sink: any ByteSink) throws -> Int64 {
        let chunk = StreamBuffer(streamBufferSize)
        var total: Int64 = 0
        while true {
            let count = try read(into: chunk.bytes)
            if count == 0 { return total }
            try sink.write(UnsafeRawBufferPointer(rebasing: chunk.bytes[..<count]))
            total += Int64(count)
        }
    }

    /// Reads to the end, for the sake of what hashes or copies on the way.
    /// - Returns: How many bytes that were.
    @discardableResult
    public func drain() throws -> Int64 {
        let chunk = StreamBuffer(streamBufferSize)
        var total: Int64 = 0
        while true {
            let count = try read(into: chunk.bytes)
            if count == 0 { return total }
            total += Int64(count)
        }
    }
}

extension ByteSink {
    public func write(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try write($0) }
    }
}

/// A piece of memory that lives as long as its owner.
final class StreamBuffer {
    let bytes: UnsafeMutableRawBufferPointer

    init(_ size: Int) {
        bytes =
            (size == streamBufferSize ? StreamBufferPool.take() : nil)
            ?? UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)
    }

    deinit {
        if bytes.count == streamBufferSize, StreamBufferPool.put(bytes) { return }
        bytes.deallocate()
    }
}

/// Buffers for the next who needs some: each layer's threads take a dozen, which malloc(3) would
/// get from the kernel anew, or keep in a heap for each thread.
private enum StreamBufferPool {
    /// What four layers at once need.
    private static let most = 64
    private struct Buffer: @unchecked Sendable { var bytes: UnsafeMutableRawBufferPointer }
    private static let free = Mutex<[Buffer]>([])

    static func take() -> UnsafeMutableRawBufferPointer? { free.withLock { $0.popLast()?.bytes } }

    static func put(_ bytes: UnsafeMutableRawBufferPointer) -> Bool {
        let buffer = Buffer(bytes: bytes)
        return free.withLock {
            guard $0.count < most else { return false }
            $0.append(buffer)
            return true
        }
    }
}

/// Reads a descriptor from where it stands.
public final class DescriptorSource: ByteSource {
    private let owned: Descriptor?
    private let raw: Int32

    /// Closes the descriptor when the source goes.
    public init(owning descriptor: consuming Descriptor) {
        raw = descriptor.raw
        owned = consume descriptor
    }

    /// The caller keeps the descriptor open as long as the source lives.
    public init(_ raw: Int32) {
        self.raw = raw
        owned = nil
    }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try FD.read(raw, into: buffer)
    }
}

/// Writes to a descriptor, without a buffer of its own.
public final class DescriptorSink: ByteSink {
    private let owned: Descriptor?
    private let raw: Int32

    /// Closes the descriptor when the sink goes.
    public init(owning descriptor: consuming Descriptor) {
        raw = descriptor.raw
        owned = consume descriptor
    }

    /// The caller keeps the descriptor open as long as the sink lives.
    public init(_ raw: Int32) {
        self.raw = raw
        owned = nil
    }

    public func write(_ bytes: UnsafeRawBufferPointer) throws { try FD.writeAll(raw, bytes) }
}

/// Fills a new file that is to last: long runs of zeros become holes, and the
/// disk begins to write while more comes. `finish()` gives it its length.
public final class NewFileSink: ByteSink {
    private let file: Descriptor
    private var writer: HoleWriter

    public init(_ file: consuming Descriptor) {
        writer = HoleWriter(file.raw)
        self.file = file
    }

    /// Goes on with a file that has so many bytes.
    public init(_ file: consuming Descriptor, from position: Int64) throws(SystemError) {
        writer = try HoleWriter(file.raw, from: position)
        self.file = file
    }

    public func write(_ bytes: UnsafeRawBufferPointer) throws { try writer.write(bytes) }
    public func finish() throws { try writer.finish() }
}

/// Bytes in memory.
public final class BytesSource: ByteSource {
    private let bytes: [UInt8]
    private var position = 0

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    public func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(buffer.count, bytes.count - position)
        if count > 0 {
            bytes.withUnsafeBytes {
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[position..<position + count]))
            }
            position += count
        }
        return count
    }
}

/// Collects in memory.
public final class BytesSink: ByteSink {
    public private(set) var bytes: [UInt8] = []
    public init() {}
    public func write(_ bytes: UnsafeRawBufferPointer) { self.bytes.append(contentsOf: bytes) }
}
