public import LayerArchive
import LinuxSystem

/// A blob on its way into the store, and the file that it goes into.
///
/// The file of a large download stays when the line breaks, or we are killed: the next to fetch the
/// same blob finds it in `partial/` and asks for the rest alone. What is in it counts for nothing
/// before it was read and hashed again; after a power failure it may be anything.
final class IncomingBlob {
    /// The blob's bytes: those that are here, then those that come, which go into the file.
    let source: any ByteSource
    /// How many were here.
    let kept: Int64
    private let store: Store
    private let path: String
    private let file: NewFileSink
    /// Of a file that may stay.
    private let download: (any ResumableSource)?
    private let lock: ObjectLock?

    /// In bytes: what is smaller is not worth keeping.
    private static let worthKeeping: Int64 = 1 << 20

    /// Waits for another who fetches the same blob.
    init(
        _ source: any ByteSource, _ blob: Digest?, size: Int64?, _ store: Store, _ lease: ContentLease
    ) throws {
        self.store = store
        if let blob, let size, size >= Self.worthKeeping, let download = source as? any ResumableSource,
            download.resume(at: 0)
        {
            lock = try ObjectLock("blob-\(blob.fileName)", in: store.directory.raw)
            path = blob.partialPath
            let opened = try store.openPartial(path)
            let found = Int64(try FD.stat(opened.raw).st_size)
            // More than there can be is nothing of this blob's.
            kept = found <= size && download.resume(at: found) ? found : 0
            if kept != found {
                _ = try retrying("truncate", path) { [raw = opened.raw] in ftruncate(raw, 0) }
            }
            file = try NewFileSink(opened, from: kept)
            self.download = download
        } else {
            lock = nil
            path = lease.newPartial()
            kept = 0
            file = NewFileSink(try store.createPartial(path))
            download = nil
        }
        let rest = TeeSource(source, to: file)
        self.source =
            kept == 0
            ? rest
            : ContinuedSource(
                DescriptorSource(owning: try File.open(path, at: store.directory.raw)), count: kept,
                then: rest)
    }

    /// The bytes were the right ones: they become content.
    func publish(as digest: Digest) throws {
        try file.finish()
        try store.publishBlob(path, digest)
    }

    /// Removes the file, unless the next may go on with it.
    /// - Returns: whether the bytes that were here may be to blame.
    func abandon(after error: any Error) -> Bool {
        let code = StorageError("", "", any: error).code
        let wasInterrupted = code == .source && download?.wasInterrupted == true
        // A full disk does not stay full because of what may be of use one day.
        let size = (try? File.status(path, at: store.directory.raw))?.st_size ?? 0
        if wasInterrupted, size > 0, (try? store.needsSpace()) == false { return false }
        try? File.unlink(path, at: store.directory.raw)
        if code == .noSpace { try? store.discardPartials() }
        return kept > 0 && !wasInterrupted && code != .noSpace && code != .system
    }
}

/// What was kept of a download has nothing to do with the blob: it is gone, and is to be fetched anew.
struct ResumptionFailed: Error {}

/// What is here, and then what comes.
private final class ContinuedSource: ByteSource {
    private let here: any ByteSource
    private var left: Int64
    private let rest: any ByteSource

    init(_ here: any ByteSource, count: Int64, then rest: any ByteSource) {
        self.here = here
        left = count
        self.rest = rest
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        if left == 0 { return try rest.read(into: buffer) }
        let part = UnsafeMutableRawBufferPointer(
            rebasing: buffer.prefix(Int(min(left, Int64(buffer.count)))))
        let count = try here.read(into: part)
        guard count > 0 else { throw ArchiveError(.truncated, "what was kept of the blob ends early") }
        left -= Int64(count)
        return count
    }
}

/// Downloads that were cut short.
extension Store {
    private static let partials = "partial"
    /// In seconds: who has not come back by then does not want it.
    private static let patience: Int64 = 3 * 24 * 3600

    func openPartial(_ path: String) throws(SystemError) -> Descriptor {
        let flags = O_RDWR | O_CREAT | O_NOFOLLOW
        do throws(SystemError) {
            return try File.open(path, at: directory.raw, flags)
        } catch  where error.errno == .noEntry {
            try? File.makeDirectory(Self.partials, at: directory.raw, mode: 0o711)
            return try File.open(path, at: directory.raw, flags)
        }
    }

    /// Removes what is here of a blob, unless somebody is fetching it.
    public func discardPartial(_ blob: Digest) throws(StorageError) {
        guard File.exists(blob.partialPath, at: directory.raw),
            let lock = try ObjectLock.attempt("blob-\(blob.fileName)", in: directory.raw)
        else { return }
        defer { lock.keep() }
        try storing("remove", blob.partialPath) { () throws(SystemError) in
            try discard(blob.partialPath, as: "partial")
        }
    }

    /// Removes all that nobody is fetching.
    public func discardPartials() throws(StorageError) {
        for blob in try partialBlobs() { try discardPartial(blob) }
        try emptyTrash()
    }

    /// Removes those that nobody came back for, and where the disk is nearly full all of them.
    func sweepPartials() throws(StorageError) {
        let blobs = try partialBlobs()
        if blobs.isEmpty { return }
        let now = time(nil)
        let isShort = try needsSpace()
        for blob in blobs {
            guard let status = try? File.status(blob.partialPath, at: directory.raw) else { continue }
            let age = Int64(now - status.st_mtim.tv_sec)
            if isShort || age < 0 || age > Self.patience { try discardPartial(blob) }
        }
    }

    /// What they take, in bytes.
    func partialsSize() throws(StorageError) -> Int64 {
        try partialBlobs().reduce(0) {
            $0 + Int64((try? File.status($1.partialPath, at: directory.raw))?.st_size ?? 0)
        }
    }

    private func partialBlobs() throws(StorageError) -> [Digest] {
        try names(in: Self.partials).compactMap(Digest.init(fileName:))
    }
}

extension Digest {
    fileprivate var partialPath: String { "partial/\(fileName)" }
}
