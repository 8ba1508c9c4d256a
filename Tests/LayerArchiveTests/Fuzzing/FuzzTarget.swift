import LinuxSystem

@testable import LayerArchive

/// What reads archives and streams that others wrote. Any input may be refused by an error; a crash,
/// or a promise that is not kept (`precondition`), is a finding.
///
/// `scripts/fuzz` links this file with libFuzzer; the tests run it on the kept corpus.
enum FuzzTarget: String, CaseIterable {
    case tar, stream, layer

    func run(_ bytes: [UInt8]) {
        switch self {
        case .tar: Self.tar(bytes)
        case .stream: Self.stream(bytes)
        case .layer: Self.layer(bytes)
        }
    }

    /// Entries, and what is written of them read again.
    private static func tar(_ bytes: [UInt8]) {
        let reader = TarReader(BytesSource(bytes))
        do {
            while let entry = try reader.next() {
                precondition(entry.name.count < Int(PATH_MAX) && !entry.name.contains(0))
                precondition(!entry.linkTarget.contains(0) && entry.size >= 0)
                precondition(entry.mode & ~0o7777 == 0)
                var end: Int64 = 0
                for segment in entry.segments ?? [] {
                    precondition(segment.offset >= end && segment.length >= 0)
                    end = segment.offset + segment.length
                    precondition(end <= entry.size)
                }
                again(entry)
                var left = entry.kind == .regular ? entry.storedSize : 0
                while let piece = try reader.nextPiece() {
                    precondition(!piece.isEmpty)
                    left -= Int64(piece.count)
                    // GNU's dump directories have contents of their own.
                    precondition(left >= 0 || entry.kind == .directory)
                }
                precondition(left == 0 || entry.kind == .directory)
            }
            try reader.drain()
        } catch is ArchiveError {
        } catch {
            preconditionFailure("\(error)")
        }
        _ = try? PaxRecords(parsing: bytes)
        _ = AccessControlText.attribute(bytes[...])
    }

    private static func again(_ original: TarEntry) {
        var entry = original
        // Later times than these are read from a header's field alone.
        guard abs(entry.modified.seconds) < 1 << 58 else { return }
        entry.segments = nil
        entry.size = 0
        let sink = BytesSink()
        let writer = TarWriter(sink)
        // Of what tar cannot say there is nothing to read.
        guard (try? writer.begin(entry)) != nil, (try? writer.finish()) != nil else { return }
        guard let read = try? TarReader(BytesSource(sink.bytes)).next() else {
            preconditionFailure("an entry that was written cannot be read")
        }
        precondition(
            read.kind == entry.kind && read.name == entry.name && read.linkTarget == entry.linkTarget)
        precondition(read.mode == entry.mode && read.user == entry.user && read.group == entry.group)
        precondition(read.modified == entry.modified && read.accessed == entry.accessed)
        precondition(read.deviceMajor == entry.deviceMajor && read.deviceMinor == entry.deviceMinor)
        // Their order means nothing.
        precondition(read.attributes.count == entry.attributes.count)
        precondition(read.attributes.allSatisfy(entry.attributes.contains))
    }

    /// Decompressors: the same bytes, or the same refusal, whatever the pieces.
    private static func stream(_ bytes: [UInt8]) {
        func read(_ source: any ByteSource, _ size: Int) -> (bytes: [UInt8], failed: Bool) {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
            defer { buffer.deallocate() }
            var output: [UInt8] = []
            do {
                while output.count < 1 << 20 {
                    let count = try source.read(into: buffer)
                    precondition(count <= size)
                    if count == 0 { return (output, false) }
                    output += buffer[..<count]
                }
                return (output, false)
            } catch is ArchiveError {
                return (output, true)
            } catch {
                preconditionFailure("\(error)")
            }
        }
        for make in [
            { DecompressingSource(BytesSource(bytes)) as any ByteSource }, { XZSource(BytesSource(bytes)) },
        ] {
            let whole = read(make(), 1 << 16)
            let pieces = read(make(), 61)
            guard whole.bytes.count < 1 << 20 else { continue }
            precondition(whole.failed == pieces.failed)
            precondition(whole.failed || whole.bytes == pieces.bytes)
        }
    }

    /// A layer that is unpacked changes nothing beside its place.
    private static func layer(_ bytes: [UInt8]) {
        var template = Array("/dev/shm/apus-fuzz-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { return }
        defer { _ = try? TreeRemoval.remove(template, at: AT_FDCWD) }
        let top = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        for whiteouts in [LayerApplier.Whiteouts.overlay, .remove] {
            for name in ["place", "beside"] { mkdir("\(top)/\(name)", 0o755) }
            guard let place = try? File.open("\(top)/place", O_RDONLY | O_DIRECTORY) else { return }
            do {
                try LayerApplier.apply(
                    BytesSource(bytes), to: place,
                    options: .init(whiteouts: whiteouts, maximumEntries: 200, maximumBytes: 1 << 20))
            } catch is ArchiveError {
            } catch {
                preconditionFailure("\(error)")
            }
            precondition((try? File.names(in: top).sorted()) == ["beside", "place"])
            precondition((try? File.names(in: "\(top)/beside")) == [])
            try? TreeRemoval.removeContents(of: place.raw)
        }
    }
}
