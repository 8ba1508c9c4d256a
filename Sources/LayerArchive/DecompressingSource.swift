/// Turns compressed bytes into plain ones.
protocol StreamDecoder: AnyObject {
    /// Takes from the front of `input`, puts into `output`.
    /// - Returns: How many bytes were put out; 0 when more input is needed.
    func decode(_ input: inout UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) throws
        -> Int
    /// Whether the input may end here.
    var mayEnd: Bool { get }
}

/// What a stream holds, decompressed: gzip (any number of members), zstd (any
/// number of frames), bzip2 (any number of streams) or, when it is none of
/// them, the bytes as they are.
public final class DecompressingSource: ByteSource {
    private let source: any ByteSource
    private let buffer = StreamBuffer(128 << 10)
    private var input = UnsafeRawBufferPointer(start: nil, count: 0)
    private var inputEnded = false
    private var started = false
    private var ended = false
    private var decoder: (any StreamDecoder)?
    private var found: Compression?
    /// What is compressed otherwise passes as it is; nil for nothing.
    private var only: Compression?

    /// - Parameter compression: What the stream must be; nil to look.
    public init(_ source: any ByteSource, compression: Compression? = nil) {
        self.source = source
        found = compression
    }

    /// Decompresses a stream that is compressed in this way, and leaves all others alone.
    public init(_ source: any ByteSource, only: Compression) {
        self.source = source
        self.only = only
    }

    /// How the stream is compressed. Reads its first bytes if need be.
    public func compression() throws -> Compression {
        try start()
        return found!
    }

    private func start() throws {
        if started { return }
        let prefix = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<Compression.prefixLength])
        let count = try source.readFully(into: prefix)
        inputEnded = count < prefix.count
        input = UnsafeRawBufferPointer(rebasing: prefix[..<count])
        if found == nil { found = try Compression.detect(Array(input)) }
        if let only, found != only { found = Compression.none }
        switch found! {
        case .none: break
        case .gzip: decoder = GzipDecoder()
        case .zstd: decoder = try ZstdDecoder()
        case .bzip2: decoder = BZip2Decoder()
        }
        started = true
    }

    public func read(into output: UnsafeMutableRawBufferPointer) throws -> Int {
        try start()
        if ended { return 0 }
        guard let decoder else { return try readPlain(into: output) }
        while true {
            if input.isEmpty, !inputEnded {
                let count = try source.read(into: buffer.bytes)
                inputEnded = count == 0
                input = UnsafeRawBufferPointer(rebasing: buffer.bytes[..<count])
            }
            let produced = try decoder.decode(&input, into: output)
            if produced > 0 { return produced }
            if input.isEmpty, inputEnded {
                guard decoder.mayEnd else {
                    throw ArchiveError(.truncated, "the \(found!.rawValue) stream ends too early")
                }
                ended = true
                return 0
            }
        }
    }

    private func readPlain(into output: UnsafeMutableRawBufferPointer) throws -> Int {
        if input.isEmpty { return inputEnded ? 0 : try source.read(into: output) }
        let count = min(input.count, output.count)
        output.copyMemory(from: UnsafeRawBufferPointer(rebasing: input[..<count]))
        input = UnsafeRawBufferPointer(rebasing: input[count...])
        return count
    }
}
