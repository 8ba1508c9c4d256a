import CISAL

/// Writes what tar-split needs to make a tar again of its files' contents (vbatts/tar-split,
/// tar/storage): a line of JSON for each header, with all that stands before it, and for each file.
final class TarSplitWriter {
    private let packed = BytesSink()
    private let sink: CompressingSink
    private var length: Int64 = 0
    private var position: Int64 = 0

    init(level: Int) throws(ArchiveError) { sink = try CompressingSink(.zstd, to: packed, level: level) }

    func add(segment bytes: [UInt8]) throws {
        guard !bytes.isEmpty else { return }
        var object = ObjectText()
        object.set("type", number: 2)
        object.set("payload", Base64.encode(bytes))
        try write(object)
    }

    /// - Parameter check: nil when there are no contents.
    func add(file name: String, size: Int64, check: [UInt8]?) throws {
        var object = ObjectText()
        object.set("type", number: 1)
        object.set("name", name)
        object.set("size", nonZero: size)
        if let check {
            object.set("payload", Base64.encode(check))
        } else {
            object.set("payload", null: ())
        }
        try write(object)
    }

    private func write(_ object: consuming ObjectText) throws {
        object.set("position", number: position)
        position += 1
        let line = object.finish() + [0x0A]
        length += Int64(line.count)
        try sink.write(line)
    }

    func finish() throws -> (compressed: [UInt8], length: Int64) {
        try sink.finish()
        return (packed.bytes, length)
    }
}

/// The checksum of Go's hash/crc64 with its table ISO.
struct CRC64 {
    private var sum: UInt64 = 0

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        sum = crc64_iso_refl(sum, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt64(bytes.count))
    }

    /// The most significant byte first.
    var value: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: sum >> (56 - $0 * 8)) } }
}
