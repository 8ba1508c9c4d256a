import CISAL
import CZstd
import LinuxSystem

/// Compresses what is written to it. The same bytes in, at the same level,
/// give the same bytes out: there is no time or name in the gzip header.
///
/// `finish()` ends the stream; without it the output is cut short.
public final class CompressingSink: ByteSink {
    private let sink: any ByteSink
    private let encoder: (any StreamEncoder)?
    private var finished = false

    /// - Parameter level: 1 to 9 for gzip (ISA-L has three: 1, 2 to 5, 6 to 9), 1 to 20 for zstd (3 unless said).
    public init(_ compression: Compression, to sink: any ByteSink, level: Int? = nil) throws(ArchiveError) {
        self.sink = sink
        switch compression {
        case .none: encoder = nil
        case .gzip: encoder = GzipEncoder(level: level.map { $0 < 2 ? 1 : $0 < 6 ? 2 : 3 } ?? 2)
        case .zstd: encoder = try ZstdEncoder(level: min(max(level ?? 3, 1), 20))
        case .bzip2: throw ArchiveError(.unsupported, "nothing is compressed by bzip2 here")
        }
    }

    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard let encoder else { return try sink.write(bytes) }
        if bytes.isEmpty { return }
        try encoder.encode(bytes, last: false, to: sink)
    }

    /// Ends the stream. Nothing may be written after it.
    public func finish() throws {
        if finished { return }
        finished = true
        try encoder?.encode(UnsafeRawBufferPointer(start: nil, count: 0), last: true, to: sink)
    }
}

private protocol StreamEncoder: AnyObject {
    func encode(_ input: UnsafeRawBufferPointer, last: Bool, to sink: any ByteSink) throws
}

/// gzip by ISA-L.
private final class GzipEncoder: StreamEncoder {
    private let stream: UnsafeMutablePointer<isal_zstream>
    private let levelBuffer = StreamBuffer(1 << 20)
    private let output = StreamBuffer(128 << 10)

    init(level: Int) {
        stream = .allocate(capacity: 1)
        isal_deflate_init(stream)
        stream.pointee.level = UInt32(level)
        stream.pointee.level_buf = levelBuffer.bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
        stream.pointee.level_buf_size = UInt32(levelBuffer.bytes.count)
        stream.pointee.gzip_flag = UInt16(IGZIP_GZIP)
        stream.pointee.flush = UInt16(NO_FLUSH)
    }

    deinit { stream.deallocate() }

    func encode(_ input: UnsafeRawBufferPointer, last: Bool, to sink: any ByteSink) throws {
        var rest = input
        repeat {
            // avail_in has 32 bits.
            let part = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
            rest = UnsafeRawBufferPointer(rebasing: rest[part.count...])
            stream.pointee.next_in = UnsafeMutablePointer(
                mutating: part.baseAddress?.assumingMemoryBound(to: UInt8.self))
            stream.pointee.avail_in = UInt32(part.count)
            stream.pointee.end_of_stream = last && rest.isEmpty ? 1 : 0
            repeat {
                stream.pointee.next_out = output.bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
                stream.pointee.avail_out = UInt32(output.bytes.count)
                let result = isal_deflate(stream)
                guard result == COMP_OK else {
                    throw ArchiveError(.unsupported, "gzip compression failed (\(result))")
                }
                let count = output.bytes.count - Int(stream.pointee.avail_out)
                if count > 0 { try sink.write(UnsafeRawBufferPointer(rebasing: output.bytes[..<count])) }
            } while stream.pointee.avail_out == 0
        } while !rest.isEmpty
    }
}

/// Zstandard by libzstd, with a checksum in each frame.
private final class ZstdEncoder: StreamEncoder {
    private let context: OpaquePointer
    private let output = StreamBuffer(128 << 10)

    init(level: Int) throws(ArchiveError) {
        guard let context = ZSTD_createCCtx() else {
            throw ArchiveError(.limitExceeded, "no memory for a zstd encoder")
        }
        self.context = context
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level))
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    }

    deinit { ZSTD_freeCCtx(context) }

    func encode(_ input: UnsafeRawBufferPointer, last: Bool, to sink: any ByteSink) throws {
        var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
        while true {
            var target = ZSTD_outBuffer(dst: output.bytes.baseAddress, size: output.bytes.count, pos: 0)
            let left = ZSTD_compressStream2(context, &target, &source, last ? ZSTD_e_end : ZSTD_e_continue)
            if ZSTD_isError(left) != 0 {
                throw ArchiveError(
                    .unsupported, "zstd compression failed (\(String(cString: ZSTD_getErrorName(left))))")
            }
            if target.pos > 0 {
                try sink.write(UnsafeRawBufferPointer(rebasing: output.bytes[..<target.pos]))
            }
            if last ? left == 0 : source.pos == source.size { return }
        }
    }
}
