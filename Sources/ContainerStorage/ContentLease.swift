import LinuxSystem
import Synchronization

/// Keeps the content of the store from being collected as garbage while
/// something is being added: a pull finds a layer here, leaves its download
/// out, and may rely on the layer until `putImage` has recorded the use of it.
///
/// While any process holds a lease, nothing unreferenced is removed. What an
/// ended lease left unreferenced (a pull that failed) goes at once, or, if
/// another lease holds, when that ends.
public final class ContentLease: Sendable {
    private let shared: Mutex<SharedLease?>

    fileprivate init(_ lease: SharedLease) { shared = Mutex(lease) }

    func newPartial(content: Bool = true) -> String { shared.withLock { $0!.newPartial(content) } }
    func settle() { shared.withLock { $0?.settle() } }

    /// Ends the lease. Afterwards it protects nothing.
    public func end() {
        let last = shared.withLock { lease in
            defer { lease = nil }
            return lease
        }
        _ = last
    }
}

/// The lease of a process's store: that of all its operations under way.
final class SharedLease: Sendable {
    private let store: Store
    private let name: String
    private let lock: FileLock
    private let partials = Atomic<Int>(0)
    /// Content was added and no image refers to it yet.
    private let unsettled = Atomic<Bool>(false)

    fileprivate init(store: Store, name: String, lock: consuming FileLock) {
        self.store = store
        self.name = name
        self.lock = lock
    }

    /// A new name in this lease's part of `ingest/`.
    /// - Parameter content: what is made becomes content that an image will use.
    func newPartial(_ content: Bool) -> String {
        if content { unsettled.store(true, ordering: .relaxed) }
        return "ingest/\(name)/\(partials.add(1, ordering: .relaxed).newValue)"
    }

    func settle() { unsettled.store(false, ordering: .relaxed) }

    deinit {
        let at = store.directory.raw
        let left = unsettled.load(ordering: .relaxed)
        if !left { try? File.removeTree("ingest/\(name)", at: at) }
        _ = flock(lock.raw, LOCK_UN)
        // Also what others could not collect because of this lease.
        let names = try? File.names(in: "ingest", at: at)
        if left || names?.isEmpty == false { _ = try? store.collectGarbage() }
    }
}

extension Store {
    /// Protects the store's content until the lease's end. The operations that
    /// add content hold one for themselves; whoever combines several of them,
    /// or relies on `hasBlob` and `hasLayer`, holds one around all.
    ///
    /// All leases that live at one time in a process are one to the others.
    public func lease() throws(StorageError) -> ContentLease {
        let result = activeLease.withLock { active in
            if let lease = active.lease { return Result<SharedLease, StorageError>.success(lease) }
            do throws(StorageError) {
                let lease = try newLease()
                active.lease = lease
                return .success(lease)
            } catch {
                return .failure(error)
            }
        }
        return ContentLease(try result.get())
    }

    private func newLease() throws(StorageError) -> SharedLease {
        // First of all: it may hold the space that is needed now.
        try? discardPartialContent()
        let lock = try storing("lock", "the store's content") { () throws(SystemError) in
            try FileLock("locks/content", at: directory.raw, shared: true)
        }
        try discardContentOfEarlierSessions(lock)
        let name = "\(getpid())-\(String(UInt64.random(in: .min ... .max), radix: 36))"
        try storing("make", "ingest/\(name)") { () throws(SystemError) in
            try File.makeDirectory("ingest/\(name)", at: directory.raw, mode: 0o700)
        }
        return SharedLease(store: self, name: name, lock: lock)
    }

    /// Removes what the dead had half added. What they added whole stays, for
    /// whoever adds the same again, until garbage is collected next.
    private func discardPartialContent() throws {
        let at = directory.raw
        let names = try File.names(in: "ingest", at: at).filter { $0 != Self.collectionMark }
        if !names.isEmpty, let lock = try FileLock.attempt("locks/content", at: at) {
            markForCollection()
            for name in names { try discard("ingest/\(name)", as: "ingest") }
            _ = consume lock
        }
        try emptyTrash()
    }

    /// Content is cared for once, when an image that uses it is recorded. What no image uses may, after
    /// a power failure, have its name and not its bytes: so it counts only within the disk's session
    /// that made it.
    private func discardContentOfEarlierSessions(_ lock: borrowing FileLock) throws(StorageError) {
        let session = Array(try self.session().name.utf8)
        if lastSession == session { return }
        // Not atomic with respect to others (flock(2)): the loser finds the work done.
        let raw = lock.raw
        _ = try storing("lock", "the store's content") { () throws(SystemError) in
            try retrying("lock", "content") { flock(raw, LOCK_EX) }
        }
        if lastSession != session {
            _ = try collectGarbageLocked()
            try removeTemporaries(of: StoreLayout.boot)
            // The disk need not have it: then the next session finds an earlier one's, or none. Where it
            // cannot be written (a full disk), the next lease does the same again.
            try? File.replace(StoreLayout.boot, at: directory.raw, with: session, durable: false)
        }
        _ = try storing("lock", "the store's content") { () throws(SystemError) in
            try retrying("lock", "content") { flock(raw, LOCK_SH) }
        }
    }

    /// nil before the first content.
    private var lastSession: [UInt8]? { try? File.read(StoreLayout.boot, at: directory.raw, limit: 128) }

    /// After a power failure files may be back that were removed just before.
    var mayHoldContentOfEarlierSessions: Bool {
        guard let lastSession else { return false }
        return (try? session().name.utf8).map(Array.init) != lastSession
    }
}
