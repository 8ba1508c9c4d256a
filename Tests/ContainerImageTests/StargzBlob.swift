import LinuxSystem

@testable import LayerArchive

/// A tar as eStargz (stargz-snapshotter, docs/estargz.md): nothing here writes it.
struct StargzBlob {
    var blob: [UInt8] = []
    /// Of all that comes out of it, its table included.
    var plain: [UInt8] = []
    var checksum: Digest
    var annotations: [String: String] { [ChunkedLayer.gzipKey: "\(checksum)"] }

    init(_ tar: [UInt8], tableOffset: Int? = nil) throws {
        let reader = TarReader(BytesSource(tar))
        var entries: [String] = []
        var member: [UInt8] = []
        var done = 0
        var blob: [UInt8] = []
        func end() throws {
            guard !member.isEmpty else { return }
            blob += try Self.gzip(member)
            member = []
        }
        while let entry = try reader.next() {
            // Headers stand in the member of the contents before them.
            member += tar[done..<Int(reader.position)]
            done = Int(reader.position)
            var text =
                #"{"name":"\#(entry.text)","type":"\#(entry.kind == .directory ? "dir" : "reg")","mode":\#(entry.mode)"#
            if entry.size > 0 {
                try end()
                let contents = Array(tar[done..<done + Int(entry.size)])
                let digest = Digest.sha256(of: contents)
                text +=
                    #","size":\#(entry.size),"offset":\#(blob.count),"digest":"\#(digest)","chunkDigest":"\#(digest)""#
                member += contents
                done += contents.count
            }
            entries.append(text + "}")
        }
        // The tar's end comes after the table.
        member += tar[done..<tar.count - 1024]
        try end()
        let table = Array(
            "{\n\t\"version\": 1,\n\t\"entries\": [\n\t\t\(entries.joined(separator: ",\n\t\t"))\n\t]\n}".utf8
        )
        checksum = Digest.sha256(of: table)
        let sink = BytesSink()
        let writer = TarWriter(sink)
        try writer.add(TarEntry(.regular, "stargz.index.json"), contents: table)
        try writer.finish()
        let offset = tableOffset ?? blob.count
        blob += try Self.gzip(sink.bytes)
        let digits = String(offset, radix: 16)
        blob += [0x1F, 0x8B, 8, 4, 0, 0, 0, 0, 0, 255, 26, 0] + Array("SG".utf8) + [22, 0]
        blob += Array((String(repeating: "0", count: 16 - digits.count) + digits + "STARGZ").utf8)
        blob += [1, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0]
        self.blob = blob
        plain = Array(tar.dropLast(1024)) + sink.bytes
    }

    private static func gzip(_ bytes: [UInt8]) throws -> [UInt8] {
        let packed = BytesSink()
        let sink = try CompressingSink(.gzip, to: packed)
        try sink.write(bytes)
        try sink.finish()
        return packed.bytes
    }

    func table() throws -> ChunkedTable? {
        try ChunkedLayer(annotations: annotations, size: Int64(blob.count))?.table { offset, count in
            Array(blob.dropFirst(Int(offset)).prefix(count))
        }
    }
}
