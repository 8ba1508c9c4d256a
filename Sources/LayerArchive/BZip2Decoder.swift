import CBZip2

/// bzip2 by libbz2, which checks each block's and each stream's CRC. It needs
/// 4 MB at most.
final class BZip2Decoder: StreamDecoder {
    /// On the heap: the library keeps its address.
    private let stream: UnsafeMutablePointer<bz_stream>
    private var inStream = false
    private var streams = 0

    init() {
        stream = .allocate(capacity: 1)
        stream.initialize(to: bz_stream())
    }

    deinit {
        if inStream { BZ2_bzDecompressEnd(stream) }
        stream.deallocate()
    }

    var mayEnd: Bool { !inStream && streams > 0 }

    func decode(_ input: inout UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) throws
        -> Int
    {
        let room = UInt32(clamping: output.count)
        stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: CChar.self)
        stream.pointee.avail_out = room
        // Without input there may still be output inside the decoder.
        while inStream || !input.isEmpty {
            if !inStream { try begin(input.first!) }
            let offered = UInt32(clamping: input.count)
            stream.pointee.next_in = UnsafeMutablePointer(
                mutating: input.baseAddress?.assumingMemoryBound(to: CChar.self))
            stream.pointee.avail_in = offered
            let result = BZ2_bzDecompress(stream)
            input = UnsafeRawBufferPointer(rebasing: input[Int(offered - stream.pointee.avail_in)...])
            switch result {
            case BZ_OK: break
            case BZ_STREAM_END: end()
            case BZ_MEM_ERROR: throw ArchiveError(.limitExceeded, "no memory for a bzip2 decoder")
            default: throw ArchiveError(.malformed, "invalid bzip2 data")
            }
            if stream.pointee.avail_out < room || input.isEmpty { break }
        }
        return Int(room - stream.pointee.avail_out)
    }

    private func begin(_ first: UInt8) throws(ArchiveError) {
        guard first == UInt8(ascii: "B") else {
            throw ArchiveError(.malformed, "unexpected data after the end of the bzip2 stream")
        }
        guard BZ2_bzDecompressInit(stream, 0, 0) == BZ_OK else {
            throw ArchiveError(.limitExceeded, "no memory for a bzip2 decoder")
        }
        inStream = true
    }

    private func end() {
        BZ2_bzDecompressEnd(stream)
        inStream = false
        streams += 1
    }
}
