import LinuxSystem

/// The compressed form of what a source gives, as it is read.
public final class CompressingSource: ByteSource {
    private let source: any ByteSource
    private let sink: CompressingSink
    private let output = Output()
    private let input = StreamBuffer(streamBufferSize)
    private var ended = false

    private final class Output: ByteSink {
        var bytes: [UInt8] = []
        var start = 0
        func write(_ bytes: UnsafeRawBufferPointer) { self.bytes.append(contentsOf: bytes) }
    }

    public init(_ source: any ByteSource, _ compression: Compression, level: Int? = nil) throws(ArchiveError)
    {
        self.source = source
        sink = try CompressingSink(compression, to: output, level: level)
    }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while output.start == output.bytes.count {
            if ended { return 0 }
            output.bytes.removeAll(keepingCapacity: true)
            output.start = 0
            let count = try source.read(into: input.bytes)
            if count > 0 {
                try sink.write(UnsafeRawBufferPointer(rebasing: input.bytes[..<count]))
            } else {
                try sink.finish()
                ended = true
            }
        }
        let count = min(buffer.count, output.bytes.count - output.start)
        output.bytes.withUnsafeBytes {
            buffer.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: $0[output.start..<output.start + count]))
        }
        output.start += count
        return count
    }
}
