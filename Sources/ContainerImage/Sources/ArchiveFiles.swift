internal import LayerArchive
internal import LinuxSystem

/// The files of a tar archive, read where they lie in it.
///
/// The parts of an image archive may stand in any order, so an archive is read
/// twice: once for the places of its files, then for what is needed. A stream,
/// and a compressed file, is copied aside for that, into a file without a name,
/// of which nothing stays whatever happens.
final class ArchiveFiles: FileSet {
    private struct Place: Sendable {
        var offset: Int64
        var size: Int64
    }

    let name: String
    private let file: SharedFile
    private let places: [String: Place]
    /// Old docker wrote a layer that it had written before as a link to it.
    private let links: [String: String]
    /// An image of five hundred layers has some two thousand files in its archive.
    private static let maximumEntries = 1 << 16

    /// - Parameters:
    ///   - file: open for reading at the archive's start.
    ///   - scratch: a directory with room for a copy.
    init(_ file: SharedFile, scratch: String) throws(ImageError) {
        let name = file.path
        self.name = name
        do {
            let file = try Self.plain(file, scratch: scratch)
            self.file = file
            var places: [String: Place] = [:]
            var links: [String: String] = [:]
            let size = Int64(try FD.stat(file.raw).st_size)
            let reader = TarReader(FileRange(file, offset: 0, size: size))
            var count = 0
            while let entry = try reader.next() {
                count += 1
                guard count <= Self.maximumEntries else {
                    throw ImageError(
                        .limit, "read \(name)", "the archive has more than \(Self.maximumEntries) entries")
                }
                let path = Self.normalized(entry.text)
                switch entry.kind {
                case .regular:
                    guard entry.segments == nil else {
                        throw ImageError(.unsupported, "read \(name)", "\(path) is stored as a sparse file")
                    }
                    guard reader.position + entry.size <= size else {
                        throw ImageError(
                            .malformed, "read \(name)", "the archive is truncated: \(path) is not whole")
                    }
                    // The last of two entries of one name counts, as when unpacking.
                    links[path] = nil
                    places[path] = Place(offset: reader.position, size: entry.size)
                case .symbolicLink, .hardLink:
                    places[path] = nil
                    let target = String(decoding: entry.linkTarget, as: UTF8.self)
                    links[path] = Self.normalized(
                        entry.kind == .hardLink || target.hasPrefix("/") ? target : "\(path)/../\(target)")
                default: break
                }
            }
            self.places = places
            self.links = links
        } catch let error as ArchiveError {
            throw ImageError(.malformed, "read \(name)", error.description)
        } catch {
            throw ImageError("read \(name)", any: error)
        }
    }

    convenience init(opening path: String, scratch: String) throws(ImageError) {
        let file: SharedFile
        do throws(SystemError) {
            file = SharedFile(try File.open(path), path: path)
        } catch {
            throw ImageError(error.errno == .noEntry ? .notFound : .file, "open \(path)", "\(error.errno)")
        }
        try self.init(file, scratch: scratch)
    }

    func open(_ path: String) throws(ImageError) -> FileRange? {
        var path = Self.normalized(path)
        for _ in 0..<8 {
            if let place = places[path] { return FileRange(file, offset: place.offset, size: place.size) }
            guard let target = links[path] else { return nil }
            path = target
        }
        throw ImageError(.malformed, "read \(path) in \(name)", "a link that leads nowhere")
    }

    /// The archive as a plain tar in a file that can be read anywhere.
    private static func plain(_ file: SharedFile, scratch: String) throws -> SharedFile {
        let raw = file.raw
        let status = try FD.stat(raw)
        if status.st_mode & S_IFMT == S_IFDIR {
            throw ImageError(.file, "read \(file.path)", "it is a directory, not an archive")
        }
        if status.st_mode & S_IFMT == S_IFREG, lseek(raw, 0, Int32(SEEK_CUR)) == 0 {
            var prefix = [UInt8](repeating: 0, count: Compression.prefixLength)
            let count = prefix.withUnsafeMutableBytes { pread(raw, $0.baseAddress, $0.count, 0) }
            if prefix != XZSource.magic,
                try Compression.detect(Array(prefix.prefix(max(count, 0)))) == .none
            {
                return file
            }
        }
        let copy = SharedFile(try ScratchFile.make(in: scratch), path: file.path)
        try DecompressingSource(XZSource(DescriptorSource(raw))).copy(to: DescriptorSink(copy.raw))
        return copy
    }

    /// Without `.`, `..` and double slashes. Names are keys here, never paths.
    private static func normalized(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") {
            switch part {
            case ".": continue
            case "..": _ = parts.popLast()
            default: parts.append(part)
            }
        }
        return parts.joined(separator: "/")
    }
}
