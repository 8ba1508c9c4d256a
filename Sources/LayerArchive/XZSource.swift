import CLzma
import LinuxSystem

/// What an xz stream holds, or the bytes as they are when it is none.
///
/// No layer may be compressed so (OCI Image Specification, layer.md,
/// "+gzip", "+zstd"), but tarballs to import and saved images often are.
public final class XZSource: ByteSource {
    public static let magic: [UInt8] = [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]
    /// `xz -9` needs 65 MiB to decompress.
    private static let memoryLimit: UInt64 = 256 << 20

    /// LZMA_CONCATENATED, lzma/container.h: streams may follow one another.
    private static let concatenated: UInt32 = 0x08

    private let source: any ByteSource
    private let buffer = StreamBuffer(128 << 10)
    private var input = UnsafeRawBufferPointer(start: nil, count: 0)
    private var started = false
    private var inputEnded = false
    private var ended = false
    /// nil for bytes as they are. On the heap: the library keeps its address.
    private var stream: UnsafeMutablePointer<lzma_stream>?

    public init(_ source: any ByteSource) { self.source = source }

    deinit {
        guard let stream else { return }
        lzma_end(stream)
        stream.deallocate()
    }

    private func start() throws {
        started = true
        let prefix = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<Self.magic.count])
        let count = try source.readFully(into: prefix)
        input = UnsafeRawBufferPointer(rebasing: prefix[..<count])
        guard input.elementsEqual(Self.magic) else { return }
        let stream = UnsafeMutablePointer<lzma_stream>.allocate(capacity: 1)
        stream.initialize(to: lzma_stream())
        self.stream = stream
        guard lzma_stream_decoder(stream, Self.memoryLimit, Self.concatenated) == LZMA_OK else {
            throw ArchiveError(.limitExceeded, "no memory for an xz decoder")
        }
    }

    public func read(into output: UnsafeMutableRawBufferPointer) throws -> Int {
        if !started { try start() }
        guard let stream else {
            if input.isEmpty { return try source.read(into: output) }
            let count = min(input.count, output.count)
            output.copyMemory(from: UnsafeRawBufferPointer(rebasing: input[..<count]))
            input = UnsafeRawBufferPointer(rebasing: input[count...])
            return count
        }
        stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = output.count
        while !ended, stream.pointee.avail_out == output.count {
            if input.isEmpty, !inputEnded {
                let count = try source.read(into: buffer.bytes)
                inputEnded = count == 0
                input = UnsafeRawBufferPointer(rebasing: buffer.bytes[..<count])
            }
            stream.pointee.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_in = input.count
            let result = lzma_code(stream, inputEnded ? LZMA_FINISH : LZMA_RUN)
            input = UnsafeRawBufferPointer(rebasing: input[(input.count - stream.pointee.avail_in)...])
            switch result {
            case LZMA_OK: break
            case LZMA_STREAM_END: ended = true
            case LZMA_BUF_ERROR: throw ArchiveError(.truncated, "the xz stream ends too early")
            case LZMA_MEMLIMIT_ERROR, LZMA_MEM_ERROR:
                throw ArchiveError(.limitExceeded, "the xz stream needs too much memory")
            default: throw ArchiveError(.malformed, "invalid xz data")
            }
        }
        return output.count - stream.pointee.avail_out
    }
}
