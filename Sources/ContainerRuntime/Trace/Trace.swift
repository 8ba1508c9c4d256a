import LinuxSystem

/// What was asked of the kernel to make a container, step by step, with the time each step took.
///
/// Two processes write: the runtime's, and the container's until it executes the launch program.
/// They share no memory but a page table's worth that exists for this; each writes to its own part,
/// and the runtime reads the other's when that process has said its last.
///
///     let trace = try Trace()
///     …                                  // step by step: trace.did("mount", "proc on /proc")
///     print(trace.report)
public final class Trace: @unchecked Sendable {
    enum Side: String { case runtime, container }

    struct Step {
        var side: Side
        /// Nanoseconds after the trace began.
        var start: UInt64
        /// Nanoseconds; nil for a part of the step before.
        var duration: UInt64?
        var name: String
        var detail: String
    }

    /// Waiting for the other process is no work.
    static let waiting = "wait"

    private let begin: UInt64
    private var last: UInt64
    private var steps: [Step] = []
    private var isContainer = false
    /// The container's steps: how many bytes, then the bytes.
    private let shared: UnsafeMutableRawBufferPointer
    private static let size = 1 << 20
    private static let headerSize = 32

    public init() throws(RuntimeError) {
        begin = Self.now
        last = begin
        let address = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
        guard let address, address != MAP_FAILED else {
            throw RuntimeError(.system, "trace", cause: SystemError("mmap", "", .current))
        }
        shared = UnsafeMutableRawBufferPointer(start: address, count: Self.size)
    }

    deinit { munmap(shared.baseAddress, shared.count) }

    /// In the container's process, first of all.
    func enterContainer() {
        isContainer = true
        last = Self.now
    }

    /// What has been done since the step before.
    func did(_ name: String, _ detail: String = "") {
        let now = Self.now
        add(name, detail, start: last - begin, duration: now - last)
        last = Self.now
    }

    /// A part of the step before, or of the next, that takes no time of its own.
    func note(_ name: String, _ detail: String) { add(name, detail, start: last - begin, duration: nil) }

    /// Time that somebody else had.
    func waited(_ what: String) { did(Self.waiting, what) }

    private func add(_ name: String, _ detail: String, start: UInt64, duration: UInt64?) {
        if isContainer {
            write(name, detail, start, duration)
        } else {
            steps.append(Step(side: .runtime, start: start, duration: duration, name: name, detail: detail))
        }
    }

    // MARK: - The shared part

    private func write(_ name: String, _ detail: String, _ start: UInt64, _ duration: UInt64?) {
        let name = Array(name.utf8)
        let detail = Array(detail.utf8.prefix(4096))
        let used = shared.load(as: Int.self)
        let end = used + Self.headerSize + (name.count + detail.count + 7) & ~7
        // What no longer fits is left out.
        guard 8 + end <= shared.count else { return }
        let record = UnsafeMutableRawBufferPointer(rebasing: shared[(8 + used)...])
        record.storeBytes(of: start, toByteOffset: 0, as: UInt64.self)
        record.storeBytes(of: duration ?? .max, toByteOffset: 8, as: UInt64.self)
        record.storeBytes(of: name.count, toByteOffset: 16, as: Int.self)
        record.storeBytes(of: detail.count, toByteOffset: 24, as: Int.self)
        UnsafeMutableRawBufferPointer(rebasing: record[Self.headerSize...]).copyBytes(from: name + detail)
        shared.storeBytes(of: end, as: Int.self)
    }

    private var containerSteps: [Step] {
        var found: [Step] = []
        var at = 8
        let end = 8 + shared.load(as: Int.self)
        while at < end {
            let record = UnsafeRawBufferPointer(rebasing: shared[at..<end])
            let duration = record.load(fromByteOffset: 8, as: UInt64.self)
            let count = record.load(fromByteOffset: 16, as: Int.self)
            let detailCount = record.load(fromByteOffset: 24, as: Int.self)
            let text = record[Self.headerSize...]
            found.append(
                Step(
                    side: .container, start: record.load(as: UInt64.self),
                    duration: duration == .max ? nil : duration,
                    name: String(decoding: text.prefix(count), as: UTF8.self),
                    detail: String(decoding: text.dropFirst(count).prefix(detailCount), as: UTF8.self)))
            at += Self.headerSize + (count + detailCount + 7) & ~7
        }
        return found
    }

    /// The container's process executes its command now, or has ended; what it did last began when
    /// its last step ended.
    func executed(_ command: String) {
        let now = Self.now
        let since = containerSteps.last.map { $0.start + ($0.duration ?? 0) } ?? last - begin
        steps.append(
            Step(side: .container, start: since, duration: now - begin - since, name: "exec", detail: command)
        )
        last = now
    }

    /// Both processes' steps in the order of time.
    var allSteps: [Step] {
        // Sorted by position too: what began at the same time stays in its order.
        (containerSteps + steps).enumerated()
            .sorted { ($0.element.start, $0.offset) < ($1.element.start, $1.offset) }.map(\.element)
    }

    /// Nanoseconds. Not the monotonic clock: in a time namespace that is another one.
    private static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
