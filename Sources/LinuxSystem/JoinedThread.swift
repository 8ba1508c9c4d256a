/// A kernel thread that ends before its owner does.
public final class JoinedThread {
    private var thread = pthread_t()
    private var isJoined = false

    /// Runs `body` on a new thread.
    public init(_ body: @escaping @Sendable () -> Void) throws(SystemError) {
        let context = Unmanaged.passRetained(ThreadBody(body))
        let error = pthread_create(
            &thread, nil,
            { context in
                Unmanaged<ThreadBody>.fromOpaque(context!).takeRetainedValue().body()
                return nil
            }, context.toOpaque())
        if error != 0 {
            context.release()
            isJoined = true
            throw SystemError("start a thread", "", Errno(error))
        }
    }

    /// Waits until `body` has returned.
    public func join() {
        if isJoined { return }
        isJoined = true
        pthread_join(thread, nil)
    }

    deinit { join() }
}

private final class ThreadBody: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

/// sem_overview(7): a number that threads raise, and wait to lower.
public final class Semaphore: @unchecked Sendable {
    private let raw: UnsafeMutablePointer<sem_t>

    public init(_ value: UInt32) {
        raw = .allocate(capacity: 1)
        sem_init(raw, 0, value)
    }

    deinit {
        sem_destroy(raw)
        raw.deallocate()
    }

    public func raise() { sem_post(raw) }

    public func lower() {
        // The only failure is EINTR.
        while sem_wait(raw) != 0 {}
    }
}
