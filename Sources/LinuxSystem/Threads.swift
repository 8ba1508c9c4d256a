import Synchronization

/// Work spread over kernel threads. The calling thread takes part, and every
/// thread has ended when a call returns.
public enum Threads {
    /// Runs `body` on every item, up to `limit` at once, in the items' order of start.
    ///
    /// After the first failure no further item starts and `stop` is raised, so
    /// that long work under way can end early by looking at it.
    /// - Returns: the results in the items' order.
    /// - Throws: the failure that came first.
    @discardableResult
    public static func parallel<Item: Sendable, Value: Sendable>(
        limit: Int, _ items: [Item], stop: StopFlag = StopFlag(), _ body: @Sendable (Item) throws -> Value
    ) throws -> [Value] {
        if limit <= 1 || items.count <= 1 {
            return try items.map { item in
                do { return try body(item) } catch {
                    stop.raise()
                    throw error
                }
            }
        }
        return try withoutActuallyEscaping(body) { body in
            let work = Work(items: items, stop: stop, body: body)
            var threads: [pthread_t] = []
            for _ in 1..<min(limit, items.count) {
                var thread = pthread_t()
                let context = Unmanaged.passRetained(work as Workable)
                let error = pthread_create(&thread, nil, runWork, context.toOpaque())
                if error != 0 {
                    // Fewer threads do the same work; the caller's own is always there.
                    context.release()
                    break
                }
                threads.append(thread)
            }
            work.run()
            for thread in threads { pthread_join(thread, nil) }
            return try work.results()
        }
    }
}

/// A request to stop that any thread may raise, and all can see.
public final class StopFlag: Sendable {
    private let raised = Atomic<Bool>(false)

    public init() {}
    public func raise() { raised.store(true, ordering: .releasing) }
    public var isRaised: Bool { raised.load(ordering: .acquiring) }
}

private class Workable {
    func run() {}
}

private func runWork(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    Unmanaged<Workable>.fromOpaque(context!).takeRetainedValue().run()
    return nil
}

private final class Work<Item: Sendable, Value: Sendable>: Workable, @unchecked Sendable {
    private struct State {
        var next = 0
        var values: [Value?]
        var failure: (any Error)?
    }

    private let items: [Item]
    private let stop: StopFlag
    private let body: @Sendable (Item) throws -> Value
    private let state: Mutex<State>

    init(items: [Item], stop: StopFlag, body: @escaping @Sendable (Item) throws -> Value) {
        self.items = items
        self.stop = stop
        self.body = body
        state = Mutex(State(values: Array(repeating: nil, count: items.count)))
    }

    override func run() {
        while let index = take() {
            do {
                let value = try body(items[index])
                state.withLock { $0.values[index] = value }
            } catch {
                state.withLock { if $0.failure == nil { $0.failure = error } }
                stop.raise()
            }
        }
    }

    private func take() -> Int? {
        state.withLock { state in
            guard state.next < items.count, state.failure == nil else { return nil }
            state.next += 1
            return state.next - 1
        }
    }

    func results() throws -> [Value] {
        try state.withLock { state in
            if let failure = state.failure { throw failure }
            return state.values.map { $0! }
        }
    }
}
