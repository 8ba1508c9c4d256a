import LinuxSystem
import Synchronization

/// What a file that was just made still needs, in this order: a change of
/// owner clears set-id bits and file capabilities (chown(2), capabilities(7));
/// an ACL's mask and the mode's group bits are one; times come last.
struct FileFinish {
    var entry: TarEntry
    var setsOwner: Bool
    var setsMode: Bool
    /// It was made in a directory with a default ACL.
    var removesACLs: Bool

    /// - Returns: how many attributes the file system does not take.
    func apply(to file: Int32) throws -> Int {
        var refused = 0
        try attempt("set the owner of", entry) { () throws(SystemError) in
            if setsOwner { try FileMetadata.setOwner(file, entry.user, entry.group) }
        }
        for attribute in entry.attributes where attribute.name != AttributeName.accessACL {
            refused += try setAttribute(file, attribute, entry)
        }
        if removesACLs { try removeInheritedACLs(file, entry) }
        try attempt("set the mode of", entry) { () throws(SystemError) in
            if setsMode { try FileMetadata.setMode(file, entry.mode) }
        }
        for attribute in entry.attributes where attribute.name == AttributeName.accessACL {
            refused += try setAttribute(file, attribute, entry)
        }
        try attempt("set the times of", entry) { () throws(SystemError) in
            try FileMetadata.setTimes(
                file, accessed: entry.accessed ?? entry.modified, modified: entry.modified)
        }
        return refused
    }
}

/// Writes and finishes small files on a second thread, while the first reads
/// the archive and makes names. All that depends on the order of entries
/// stays with the first: the second knows open files only.
final class FileFiller {
    /// Larger files are written as they are read.
    static let largestFile = 64 << 10
    /// Files go over many at a time, for waking a thread costs as much as making a file.
    private static let filesAtOnce = 32
    private static let slotCount = 3

    private struct Job {
        var file: Int32
        var finish: FileFinish
        /// Of its contents in the slot's buffer.
        var range: Range<Int>
    }

    private final class Slot {
        let buffer = StreamBuffer(4 * largestFile)
        var jobs: [Job] = []
        var isLast = false
    }

    private final class Result: @unchecked Sendable {
        var failure: (any Error)?
        var refused = 0
        /// The only thing here that the first thread looks at while the second works.
        let hasFailed = Atomic<Bool>(false)

        func fill(_ slot: Slot) {
            for job in slot.jobs {
                defer { close(job.file) }
                // After a failure nothing matters but that files are closed.
                if failure != nil { continue }
                do {
                    let contents = UnsafeRawBufferPointer(rebasing: slot.buffer.bytes[job.range])
                    try attempt("write", job.finish.entry) { () throws(SystemError) in
                        try FD.writeAll(job.file, contents)
                    }
                    refused += try job.finish.apply(to: job.file)
                } catch {
                    failure = error
                    hasFailed.store(true, ordering: .relaxed)
                }
            }
            slot.jobs.removeAll(keepingCapacity: true)
        }
    }

    private let ring = SlotRing((0..<slotCount).map { _ in Slot() })
    private let result = Result()
    private let thread: JoinedThread
    /// The slot that is being filled.
    private var current: Slot?
    private var used = 0
    private var isOpen = true

    init() throws(SystemError) {
        thread = try JoinedThread { [ring, result] in
            while true {
                let slot = ring.filled()
                result.fill(slot)
                if slot.isLast { return }
                ring.giveBack()
            }
        }
    }

    deinit { end() }

    /// Reads the contents, and leaves the rest to the second thread.
    func take(_ file: consuming Descriptor, _ finish: FileFinish, contents reader: TarReader) throws {
        if result.hasFailed.load(ordering: .relaxed) { _ = try self.finish() }
        let size = Int(finish.entry.size)
        if let slot = current, slot.jobs.count == Self.filesAtOnce || used + size > slot.buffer.bytes.count {
            hand()
        }
        let slot = vacant()
        let start = used
        while let piece = try reader.nextPiece() {
            UnsafeMutableRawBufferPointer(rebasing: slot.buffer.bytes[used...]).copyMemory(from: piece)
            used += piece.count
        }
        slot.jobs.append(Job(file: file.take(), finish: finish, range: start..<used))
    }

    /// Waits until all files are finished. Nothing may be taken after it.
    /// - Returns: how many attributes the file system does not take.
    func finish() throws -> Int {
        end()
        if let failure = result.failure { throw failure }
        return result.refused
    }

    private func vacant() -> Slot {
        if let current { return current }
        let slot = ring.vacant()!
        current = slot
        used = 0
        return slot
    }

    private func hand() {
        current = nil
        ring.hand()
    }

    private func end() {
        guard isOpen else { return }
        isOpen = false
        vacant().isLast = true
        hand()
        thread.join()
    }
}
