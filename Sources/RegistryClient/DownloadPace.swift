internal import LinuxSystem

/// When a large blob comes over several connections at once.
public struct Splitting: Sendable {
    /// In bytes: smaller blobs come over one.
    public var smallestBlob: Int64 = 64 << 20
    /// What a connection fetches at a time, and may read ahead: a multiple of 256 KiB.
    public var part: Int64 = 5 << 19
    /// How many a blob may have.
    public var connections = 3
    /// How many all of a client's blobs together may have besides the first of each.
    public var furtherConnections = 2
    /// How long the speed is measured before it is judged.
    public var milliseconds: Int64 = 1000

    public init() {}
}

/// Watches how fast a download goes, and says when another connection is worth a try, and when the
/// last one was not.
struct DownloadPace {
    enum Judgement { case same, more, less }

    /// Bytes a second: who is as fast as this is not held up by the network.
    private static let fast = 256.0 * 1024 * 1024
    private let options: Splitting
    private var connections = 1
    private var mayGrow = false
    private var isSettled = false
    /// Bytes a nanosecond, before the last connection was added.
    private var rateBefore: Double?

    // What is measured just now.
    private var start = now
    private var received: Int64 = 0
    private var waited: Int64 = 0
    /// Connections begin slowly: the first while does not count.
    private var isWarm = false

    init(_ options: Splitting) { self.options = options }

    /// From now on so many connections are at work.
    mutating func begin(at received: Int64, connections: Int, mayGrow: Bool) {
        self.connections = connections
        self.mayGrow = mayGrow
        if connections == 1 { rateBefore = nil }
        isWarm = false
        measure(from: received, Self.now)
    }

    /// It stays as it is.
    mutating func settle() { isSettled = true }

    /// The time until now went into waiting for the network.
    mutating func waited(since before: Int64) {
        if mayGrow, !isSettled { waited += Self.now - max(before, start) }
    }

    /// - Parameters:
    ///   - received: of the blob, in bytes, over all connections.
    ///   - left: what is still to come.
    mutating func judge(received: Int64, left: Int64) -> Judgement {
        guard mayGrow, !isSettled else { return .same }
        let now = Self.now
        let elapsed = now - start
        let enough = options.milliseconds * 1_000_000
        guard isWarm else {
            if elapsed >= enough / 2 {
                isWarm = true
                measure(from: received, now)
            }
            return .same
        }
        guard elapsed >= enough else { return .same }
        let rate = Double(received - self.received) / Double(elapsed)
        // Otherwise those who take the bytes are no faster.
        let isNetworkSlow = waited * 3 > elapsed && rate * 1e9 < Self.fast
        measure(from: received, now)
        if let before = rateBefore, rate < before * 1.1 { return .less }
        rateBefore = nil
        guard isNetworkSlow, connections < options.connections,
            left > options.part * Int64(connections + 1) * 2
        else { return .same }
        rateBefore = rate
        return .more
    }

    private mutating func measure(from received: Int64, _ now: Int64) {
        self.received = received
        start = now
        waited = 0
    }

    /// Nanoseconds of some clock that only goes forward.
    static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
