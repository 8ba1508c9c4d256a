import CZstd

/// Zstandard (RFC 8878) by libzstd, which checks a frame's checksum where it
/// has one and refuses windows over 128 MiB.
final class ZstdDecoder: StreamDecoder {
    private let context: OpaquePointer
    private var inFrame = false
    private var frames = 0

    init() throws(ArchiveError) {
        guard let context = ZSTD_createDCtx() else {
            throw ArchiveError(.limitExceeded, "no memory for a zstd decoder")
        }
        self.context = context
    }

    deinit { ZSTD_freeDCtx(context) }

    var mayEnd: Bool { !inFrame && frames > 0 }

    func decode(_ input: inout UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) throws
        -> Int
    {
        // With no input left there may still be output inside the decoder.
        if input.isEmpty, !inFrame { return 0 }
        var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
        var target = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
        while target.pos == 0 {
            let result = ZSTD_decompressStream(context, &target, &source)
            if ZSTD_isError(result) != 0 {
                throw ArchiveError(
                    .malformed, "invalid zstd data (\(String(cString: ZSTD_getErrorName(result))))")
            }
            inFrame = result != 0
            if !inFrame { frames += 1 }
            if source.pos == source.size { break }
        }
        input = UnsafeRawBufferPointer(rebasing: input[source.pos...])
        return target.pos
    }
}
