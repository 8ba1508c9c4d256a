import CZstd

/// Writes frames of zstd, each of bytes that are there as a whole, and knows where they are.
final class ZstdFrames {
    private let context: OpaquePointer
    private let sink: any ByteSink
    private var output: [UInt8] = []
    private(set) var position: Int64 = 0

    init(to sink: any ByteSink, level: Int) throws(ArchiveError) {
        guard let context = ZSTD_createCCtx() else {
            throw ArchiveError(.limitExceeded, "no memory for a zstd encoder")
        }
        self.context = context
        self.sink = sink
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level))
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    }

    deinit { ZSTD_freeCCtx(context) }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        let bound = ZSTD_compressBound(bytes.count)
        if output.count < bound { output = [UInt8](repeating: 0, count: bound) }
        try output.withUnsafeMutableBytes { output in
            let count = ZSTD_compress2(
                context, output.baseAddress, output.count, bytes.baseAddress, bytes.count)
            guard ZSTD_isError(count) == 0 else {
                throw ArchiveError(
                    .unsupported, "zstd compression failed (\(String(cString: ZSTD_getErrorName(count))))")
            }
            try sink.write(UnsafeRawBufferPointer(rebasing: output[..<count]))
            position += Int64(count)
        }
    }

    /// What decoders pass over (RFC 8878, section 3.1.2).
    func write(skippable bytes: [UInt8]) throws {
        guard bytes.count <= UInt32.max else {
            throw ArchiveError(.limitExceeded, "a table of contents of \(bytes.count) bytes")
        }
        try sink.write(
            [0x50, 0x2A, 0x4D, 0x18] + (0..<4).map { UInt8(truncatingIfNeeded: bytes.count >> ($0 * 8)) })
        try sink.write(bytes)
        position += ChunkedLayer.frameHeader + Int64(bytes.count)
    }
}
