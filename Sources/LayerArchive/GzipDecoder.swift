import CISAL
import LinuxSystem

/// gzip (RFC 1952) by ISA-L, which checks each member's CRC and length.
final class GzipDecoder: StreamDecoder {
    /// 90 KiB: on the heap, and never as a Swift value.
    private let state: UnsafeMutablePointer<inflate_state>
    private var inMember = false
    private var members = 0

    init() {
        state = .allocate(capacity: 1)
        begin()
    }

    deinit { state.deallocate() }

    private func begin() {
        isal_inflate_init(state)
        state.pointee.crc_flag = UInt32(ISAL_GZIP)
    }

    var mayEnd: Bool { !inMember && members > 0 }

    func decode(_ input: inout UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) throws
        -> Int
    {
        if !inMember {
            // Zeros after the last member are padding, as gzip(1) takes them.
            if members > 0 {
                while let first = input.first, first == 0 {
                    input = UnsafeRawBufferPointer(rebasing: input[1...])
                }
            }
            guard let first = input.first else { return 0 }
            guard first == 0x1F else {
                throw ArchiveError(.malformed, "unexpected data after the end of the gzip stream")
            }
            begin()
            inMember = true
        }
        let room = UInt32(clamping: output.count)
        let offered = UInt32(clamping: input.count)
        state.pointee.next_in = UnsafeMutablePointer(
            mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        state.pointee.avail_in = offered
        state.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        state.pointee.avail_out = room
        let result = isal_inflate(state)
        guard result == ISAL_DECOMP_OK || result == ISAL_END_INPUT else {
            throw ArchiveError(.malformed, Self.reason(result))
        }
        let taken = Int(offered - state.pointee.avail_in)
        input = UnsafeRawBufferPointer(rebasing: input[taken...])
        if state.pointee.block_state == ISAL_BLOCK_FINISH {
            inMember = false
            members += 1
        }
        return Int(room - state.pointee.avail_out)
    }

    private static func reason(_ result: Int32) -> String {
        switch result {
        case ISAL_INVALID_WRAPPER, ISAL_UNSUPPORTED_METHOD: "invalid gzip header"
        case ISAL_INCORRECT_CHECKSUM: "gzip checksum mismatch"
        default: "invalid gzip data"
        }
    }
}
