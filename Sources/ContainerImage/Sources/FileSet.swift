internal import LayerArchive
internal import LinuxSystem

/// Files by relative names: a directory, or a tar archive that is read in place.
protocol FileSet: Sendable {
    /// As messages name it: the directory or the archive.
    var name: String { get }
    /// - Returns: nil when there is no such file.
    func open(_ path: String) throws(ImageError) -> FileRange?
}

extension FileSet {
    /// A small file as a whole.
    /// - Throws: `limit` when it is larger.
    func read(_ path: String, limit: Int) throws(ImageError) -> [UInt8]? {
        guard let file = try open(path) else { return nil }
        guard file.size <= limit else {
            throw ImageError(
                .limit, "read \(path) in \(name)",
                "it has \(file.size) bytes; more than \(limit) are not accepted")
        }
        do {
            let bytes = try file.readAll(limit: limit)
            guard bytes.count == file.size else {
                throw ImageError(.malformed, "read \(path) in \(name)", "it is cut short")
            }
            return bytes
        } catch {
            throw ImageError("read \(path) in \(name)", any: error)
        }
    }
}

/// A part of a file, read by pread(2): many ranges of one descriptor are read at once.
final class FileRange: SkippingSource {
    let size: Int64
    private let file: SharedFile
    private var position: Int64
    private let end: Int64

    init(_ file: SharedFile, offset: Int64, size: Int64) {
        self.file = file
        self.size = size
        position = offset
        end = offset + size
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let wanted = min(Int64(buffer.count), end - position)
        guard wanted > 0 else { return 0 }
        let count = pread(file.raw, buffer.baseAddress, Int(wanted), off_t(position))
        guard count >= 0 else { throw SystemError("read", file.path, .current) }
        position += Int64(count)
        return count
    }

    func skip(_ count: Int64) throws {
        guard count <= end - position else {
            throw ArchiveError(.truncated, "\(file.path) ends too early")
        }
        position += count
    }
}

/// A descriptor that several readers share.
final class SharedFile: Sendable {
    let path: String
    private let descriptor: Descriptor
    var raw: Int32 { descriptor.raw }

    init(_ descriptor: consuming Descriptor, path: String) {
        self.descriptor = descriptor
        self.path = path
    }
}

/// The files below a directory.
struct DirectoryFiles: FileSet {
    let name: String
    private let directory: SharedFile

    init(_ path: String) throws(ImageError) {
        name = path
        do throws(SystemError) {
            directory = SharedFile(try File.open(path, O_RDONLY | O_DIRECTORY), path: path)
        } catch {
            throw ImageError(error.errno == .noEntry ? .notFound : .file, "open \(path)", "\(error.errno)")
        }
    }

    func open(_ path: String) throws(ImageError) -> FileRange? {
        do throws(SystemError) {
            // Not to wait for a writer, should the name be a FIFO's.
            let file = try File.open(path, at: directory.raw, O_RDONLY | O_NONBLOCK)
            let status = try FD.stat(file.raw)
            guard status.st_mode & S_IFMT == S_IFREG else {
                throw SystemError("read", path, Errno(EINVAL))
            }
            return FileRange(SharedFile(file, path: path), offset: 0, size: Int64(status.st_size))
        } catch  where error.errno == .noEntry || error.errno == .notDirectory {
            return nil
        } catch {
            throw ImageError(.file, "read \(path) in \(name)", "\(error.errno)")
        }
    }
}
