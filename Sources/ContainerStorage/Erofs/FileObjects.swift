import LayerArchive
import LinuxSystem

/// Files' contents, each once, by their digest: `erofs/objects/ab/cdef…`. They
/// never change. A layer's file `objects` lists the digests that it needs.
struct FileObjects {
    static let folder = "erofs/objects"
    /// Something may be there that no layer needs.
    static let mark = "erofs/collect"

    let store: Store
    private var root: Int32 { store.directory.raw }

    /// `/ab/cdef…`, as overlay finds it from the folder on.
    static func path(_ hex: some StringProtocol) -> String { "/\(hex.prefix(2))/\(hex.dropFirst(2))" }

    /// Takes a file's contents in, under a lease: the file becomes the object,
    /// unless there is one.
    /// - Parameters:
    ///   - file: open to read.
    ///   - name: the file's, in `directory`.
    func adopt(_ file: Int32, _ status: stat, _ name: [CChar], in directory: Int32) throws(SystemError)
        -> Digest
    {
        let digest = try Self.digest(file, status)
        let path = Self.folder + Self.path(digest.hex)
        if File.exists(path, at: root) { return digest }
        // What is of the file and not of its contents is in the layers' images.
        if status.st_mode & 0o7000 != 0 { try FileMetadata.setMode(file, 0o600) }
        do throws(SystemError) {
            try rename(name, in: directory, to: path)
        } catch  where error.errno == .noEntry {
            do throws(SystemError) {
                let folder = path.prefix(Self.folder.utf8.count + 3)
                try File.makeDirectory(String(folder), at: root, mode: 0o700)
            } catch  where error.errno == .exists {}
            try rename(name, in: directory, to: path)
        }
        return digest
    }

    /// One that is there stays, whose pages may be in use.
    private func rename(_ name: [CChar], in directory: Int32, to path: String) throws(SystemError) {
        let noReplace = 1
        let result = path.withCString { path in
            name.withUnsafeBufferPointer {
                linux_syscall(
                    Int(SYS_renameat2), Int(directory), Int(bitPattern: $0.baseAddress), Int(root),
                    Int(bitPattern: path), noReplace, 0)
            }
        }
        if result < 0, result != -Int(EEXIST) {
            throw SystemError("rename", path, Errno(Int32(-result)))
        }
    }

    /// Of the contents. Of a large file with holes, of its pieces and where they
    /// are: an archive's few bytes can announce more zeros than one can hash.
    static func digest(_ file: Int32, _ status: stat) throws(SystemError) -> Digest {
        var hash = SHA256()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 4096)
        defer { buffer.deallocate() }
        let size = Int(status.st_size)
        func add(_ start: Int, _ end: Int) throws(SystemError) {
            var position = start
            while position < end {
                let count = try retrying("read") {
                    pread(file, buffer.baseAddress, min(buffer.count, end - position), off_t(position))
                }
                if count == 0 { break }
                hash.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                position += count
            }
        }
        guard size > 1 << 28, Int(status.st_blocks) * 512 < size else {
            try add(0, size)
            return hash.finalize()
        }
        hash.update(Array("file of \(size) bytes with holes\n".utf8))
        var position = 0
        while position < size {
            let start = lseek(file, off_t(position), SEEK_DATA)
            if start < 0 { break }
            let end = max(lseek(file, start, SEEK_HOLE), start + 1)
            hash.update(Array("\(start)-\(end)\n".utf8))
            try add(Int(start), Int(end))
            position = Int(end)
        }
        return hash.finalize()
    }

    // MARK: What layers need

    /// The objects that a layer's list names, as hexadecimal digits.
    func needed(byLayer path: String) throws(SystemError) -> [String] {
        let bytes = try File.read(path + "/objects", at: root, limit: 1 << 30)
        let digits = Array("0123456789abcdef".utf8)
        return stride(from: 0, to: bytes.count - 31, by: 32).map { start in
            String(unsafeUninitializedCapacity: 64) { text in
                for index in 0..<32 {
                    text[index * 2] = digits[Int(bytes[start + index] >> 4)]
                    text[index * 2 + 1] = digits[Int(bytes[start + index] & 15)]
                }
                return 64
            }
        }
    }

    static func list(_ digests: Set<Digest>) -> [UInt8] {
        digests.sorted().flatMap { digest in
            let hex = Array(digest.hex.utf8)
            return stride(from: 0, to: hex.count, by: 2).map {
                Self.nibble(hex[$0]) << 4 | Self.nibble(hex[$0 + 1])
            }
        }
    }

    private static func nibble(_ digit: UInt8) -> UInt8 {
        digit <= UInt8(ascii: "9") ? digit - UInt8(ascii: "0") : digit - UInt8(ascii: "a") + 10
    }

    func markForCollection() {
        _ = try? File.open(Self.mark, at: root, O_WRONLY | O_CREAT, mode: 0o600)
    }

    /// Removes what no layer needs. The content's lock is held alone, and for
    /// some milliseconds at a time: what pulls wait for does not grow with what
    /// is removed.
    /// - Returns: false when somebody adds content; then the end of his lease, or a later sweep, does it.
    func collect(until deadline: Deadline) throws(StorageError) -> Bool {
        guard File.exists(Self.mark, at: root) else { return true }
        var known: [String]?
        var waiting: [String] = []
        while true {
            let lock = try storing("lock", "the store's content") { () throws(SystemError) in
                try FileLock.attempt("locks/content", at: root)
            }
            guard let lock else { return false }
            defer { _ = lock.raw }
            let slice = Deadline(milliseconds: 30)
            let done = try storing("collect", Self.folder) { () throws(SystemError) -> Bool in
                let layers = try File.names(in: "erofs/layers", at: root).sorted()
                // What was added meanwhile may need what nobody needed before.
                if layers != known {
                    waiting = try unneeded(layers)
                    known = layers
                }
                while let path = waiting.popLast() {
                    try File.unlink(path, at: root)
                    if slice.isOver { return false }
                }
                try File.unlink(Self.mark, at: root)
                return true
            }
            if done { return true }
            if deadline.isOver { return false }
        }
    }

    private func unneeded(_ layers: [String]) throws(SystemError) -> [String] {
        var needed: Set<String> = []
        for layer in layers { needed.formUnion(try self.needed(byLayer: "erofs/layers/\(layer)")) }
        return try all().filter { !needed.contains($0) }.map { Self.folder + Self.path($0) }
    }

    /// All that there are, as hexadecimal digits.
    func all() throws(SystemError) -> [String] {
        var result: [String] = []
        for folder in try File.names(in: Self.folder, at: root) {
            result += try File.names(in: "\(Self.folder)/\(folder)", at: root).map { folder + $0 }
        }
        return result
    }
}
