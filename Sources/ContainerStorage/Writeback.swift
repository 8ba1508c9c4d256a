import LayerArchive
import LinuxSystem
import Synchronization

/// Has the kernel write out what layers left in its memory while more of them
/// arrives, so that the sync that ends a pull finds little to do. Nothing
/// depends on it.
final class Writeback: Sendable {
    /// In bytes of the layers' tars.
    private static let step: Int64 = 24 << 20

    private struct State: ~Copyable {
        var arrived: Int64 = 0
        /// The one that writes, or that did last.
        var thread: JoinedThread?
    }
    private final class Flag: Sendable { let isRaised = Atomic(false) }

    private let state = Mutex(State())
    private let isWriting = Flag()
    private let root: String

    /// - Parameter root: a directory of the file system.
    init(_ root: String) { self.root = root }

    func arrived(_ count: Int) {
        state.withLock { state in
            state.arrived += Int64(count)
            guard state.arrived >= Self.step, !isWriting.isRaised.load(ordering: .relaxed) else { return }
            state.arrived = 0
            isWriting.isRaised.store(true, ordering: .relaxed)
            state.thread = try? JoinedThread { [root, isWriting] in
                try? Self.write(root)
                isWriting.isRaised.store(false, ordering: .relaxed)
            }
        }
    }

    /// Returns once all that the file system holds in memory is on the disk (syncfs(2)).
    static func write(_ root: String) throws(SystemError) {
        let directory = try File.open(root, O_RDONLY | O_DIRECTORY)
        _ = try checked("syncfs", root) { linux_syscall(Int(SYS_syncfs), Int(directory.raw), 0, 0, 0, 0, 0) }
    }
}

/// Tells the writeback what arrives.
final class WrittenBackSource: ByteSource {
    private let source: any ByteSource
    private let writeback: Writeback

    init(_ source: any ByteSource, _ writeback: Writeback) {
        self.source = source
        self.writeback = writeback
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = try source.read(into: buffer)
        writeback.arrived(count)
        return count
    }
}
