internal import LayerArchive
internal import LinuxSystem
internal import Synchronization

/// The rest of a blob over several connections. Each fetches one part after another, in a thread of
/// its own, and reads no further ahead than a part; here they are put in order:
///
///     line 0   |--part 0--|        |--part 2--|
///     line 1   |--part 1--|             |--part 3--|
///     read     0          1        2          3
final class SplitDownload {
    private let plan: SplitPlan
    private var lines: [ReadAheadSource] = []
    private var current: (line: Int, left: Int64)?
    /// Of the budget.
    private var places = 0

    /// - Returns: nil where there may be no second connection, or no thread for it.
    init?(_ blob: RemoteBlob, from position: Int64) {
        plan = SplitPlan(blob, from: position)
        guard takePlace(), add(), add() else { return nil }
    }

    deinit {
        plan.stop.raise()
        budget.giveBack(places)
    }

    private var budget: ConnectionBudget { plan.blob.client.budget }

    private func takePlace() -> Bool {
        guard budget.take() else { return false }
        places += 1
        return true
    }

    /// How many are at work.
    var connections: Int { plan.lines }

    /// What has come of the blob, whether it was read or not.
    var received: Int64 { plan.received.load(ordering: .relaxed) }

    /// - Returns: false when there may be no more.
    func grow() -> Bool { takePlace() && add() }

    /// The last one fetches no further part. Of two neither does: what is left then, one connection
    /// brings as it brought the first.
    func shrink() { plan.setLines(plan.lines > 2 ? plan.lines - 1 : 0) }

    private func add() -> Bool {
        let slots = Int(plan.blob.client.options.splitting.part) / streamBufferSize
        let line = try? ReadAheadSource(threaded: Line(plan, lines.count), slots: slots)
        guard let line else { return false }
        lines.append(line)
        plan.setLines(lines.count)
        return true
    }

    /// - Returns: 0 at the blob's end, and where no line fetches more.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(RegistryError) -> Int {
        if current == nil { current = plan.next() }
        guard let (line, left) = current else { return 0 }
        let part = UnsafeMutableRawBufferPointer(
            rebasing: buffer.prefix(Int(min(left, Int64(buffer.count)))))
        let count: Int
        do {
            count = try lines[line].read(into: part)
        } catch {
            throw error as? RegistryError ?? RegistryError(.connection, "get \(plan.blob.digest)", "\(error)")
        }
        current = left > Int64(count) ? (line, left - Int64(count)) : nil
        return count
    }
}

/// Which line fetches what.
private final class SplitPlan: Sendable {
    private struct State {
        var next: Int64
        /// Those up to this number may take parts.
        var lines = 0
        /// Of the parts that were taken and not read yet.
        var taken: [(line: Int, left: Int64)] = []
    }

    let blob: RemoteBlob
    let stop = StopFlag()
    let received: Atomic<Int64>
    private let state: Mutex<State>
    private let arrivals = Semaphore(0)

    init(_ blob: RemoteBlob, from position: Int64) {
        self.blob = blob
        received = Atomic(position)
        state = Mutex(State(next: position))
    }

    var lines: Int { state.withLock { $0.lines } }
    func setLines(_ count: Int) { state.withLock { $0.lines = count } }

    /// The next part, for a line; nil when there is none for it.
    func take(_ line: Int) -> Range<Int64>? {
        let range: Range<Int64>? = state.withLock { state in
            guard line < state.lines, state.next < blob.size else { return nil }
            let end = min(state.next + blob.client.options.splitting.part, blob.size)
            defer { state.next = end }
            state.taken.append((line, end - state.next))
            return state.next..<end
        }
        if range != nil { arrivals.raise() }
        return range
    }

    /// Whose part comes next, in the order of the blob; waits until one is taken. The reader's, who
    /// alone changes the number of lines.
    func next() -> (line: Int, left: Int64)? {
        let isOver = state.withLock { state in
            state.taken.isEmpty && (state.lines == 0 || state.next == blob.size)
        }
        if isOver { return nil }
        arrivals.lower()
        return state.withLock { $0.taken.removeFirst() }
    }
}

/// What one connection brings: the bytes of its parts, one after another.
private final class Line: ByteSource {
    private let plan: SplitPlan
    private let number: Int
    private var session: HTTPSession?
    private var exchange: HTTPExchange?
    private var left: Int64 = 0
    /// What brought the last part.
    private var place: HTTPRequest?

    init(_ plan: SplitPlan, _ number: Int) {
        self.plan = plan
        self.number = number
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int { try readTyped(into: buffer) }

    private func readTyped(into buffer: UnsafeMutableRawBufferPointer) throws(RegistryError) -> Int {
        if left == 0 {
            if let exchange { try end(exchange) }
            exchange = nil
            guard let range = plan.take(number) else {
                if let session { plan.blob.client.giveBack(session) }
                session = nil
                return 0
            }
            exchange = try open(range)
            left = Int64(range.count)
        }
        let part = UnsafeMutableRawBufferPointer(
            rebasing: buffer.prefix(Int(min(left, Int64(buffer.count)))))
        let count = try exchange!.read(into: part)
        guard count > 0 else {
            throw RegistryError(.connection, exchange!.request.name, "the answer ends early")
        }
        left -= Int64(count)
        plan.received.add(Int64(count), ordering: .relaxed)
        return count
    }

    /// Only after its end the connection is free for the next.
    private func end(_ exchange: HTTPExchange) throws(RegistryError) {
        var more: UInt8 = 0
        let count = try withUnsafeMutableBytes(of: &more) { bytes throws(RegistryError) in
            try exchange.read(into: bytes)
        }
        guard count == 0 else {
            throw RegistryError(.malformed, exchange.request.name, "the answer is longer than it said")
        }
    }

    private func open(_ range: Range<Int64>) throws(RegistryError) -> HTTPExchange {
        let (start, end) = (range.lowerBound, range.upperBound)
        let session = if let session { session } else { try plan.blob.client.takeSession() }
        self.session = session
        if let place, let exchange = try plan.blob.open(from: start, to: end, like: place, session: session) {
            return exchange
        }
        let exchange = try plan.blob.open(from: start, to: end, session: session, stop: plan.stop)
        guard exchange.status == 206 else {
            throw RegistryError(
                .connection, exchange.request.name, status: exchange.status,
                "the registry gives ranges no longer")
        }
        place = exchange.request
        return exchange
    }
}

/// How many connections a client's blobs may have together, besides the first of each.
final class ConnectionBudget: Sendable {
    private let left: Mutex<Int>
    private let isSpent = Atomic<Bool>(false)

    init(_ count: Int) { left = Mutex(count) }

    func take() -> Bool {
        left.withLock { left in
            guard left > 0, !isSpent.load(ordering: .relaxed) else { return false }
            left -= 1
            return true
        }
    }

    func giveBack(_ count: Int) { left.withLock { $0 += count } }

    /// A server does not bear several.
    func end() { isSpent.store(true, ordering: .relaxed) }
}
