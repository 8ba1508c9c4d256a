import CZstd
import LinuxSystem

/// Compresses what is written to it. The same bytes in, at the same level,
/// give the same bytes out, on any number of processors.
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

protocol StreamEncoder: AnyObject {
    func encode(_ input: UnsafeRawBufferPointer, last: Bool, to sink: any ByteSink) throws
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
