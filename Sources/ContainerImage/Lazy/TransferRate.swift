internal import LayerArchive
internal import LinuxSystem
internal import Synchronization

/// How fast a registry was to us, so far.
struct TransferRate: Sendable, Equatable {
    /// Seconds from a request to the first byte of its answer.
    var answer: Double
    /// Bytes a second; nil when nothing was large enough to tell.
    var bandwidth: Double?

    /// Taken for a connection that nobody has measured: a gigabit a second. On a slower one a whole
    /// layer would take longer than we think, so that what is chosen is right there too.
    static let assumedBandwidth: Double = 125_000_000
    /// Ranges that are on the way at once.
    static let parallel = 4

    private var speed: Double { max(bandwidth ?? Self.assumedBandwidth, 1) }

    /// What can be fetched in the time that one more request takes.
    var bridge: Int64 { Int64(min(answer / Double(Self.parallel) * speed, Double(64 << 20))) }

    /// Whether it can be worth while to ask for a layer's table: the layer would take many times as long.
    func mayGain(size: Int64) -> Bool {
        Double(size) / speed >= 4 * answer
    }

    /// Whether parts of a layer come clearly sooner than all of it.
    func isCheaper(fetches: Int, bytes: Int64, than size: Int64) -> Bool {
        let rounds = (fetches + Self.parallel - 1) / Self.parallel
        let parts = Double(rounds) * answer + Double(bytes) / speed
        let whole = answer + Double(size) / speed
        return parts <= whole * 0.75
    }

    /// Layers of fewer bytes come whole.
    static let smallest: Int64 = 1 << 20
}

/// Measures what comes from a registry. Any number of threads use one.
final class TransferMeter: Sendable {
    private struct Sums {
        /// The latest, which knows of the connections that are open by now.
        var answer: Double?
        var bytes: Int64 = 0
        var seconds = 0.0
    }

    private let sums = Mutex(Sums())
    /// Less says nothing: it was on the way before anybody waited for it.
    private static let smallestSample: Int64 = 1 << 20

    /// nil before anything was measured.
    var rate: TransferRate? {
        sums.withLock { sums in
            sums.answer.map { answer in
                TransferRate(
                    answer: answer,
                    bandwidth: sums.bytes >= Self.smallestSample && sums.seconds > 0
                        ? Double(sums.bytes) / sums.seconds : nil)
            }
        }
    }

    func add(answer: Double) { sums.withLock { $0.answer = answer } }

    func add(bytes: Int64, seconds: Double) {
        sums.withLock {
            $0.bytes += bytes
            $0.seconds += seconds
        }
    }

    /// Seconds of a clock that only goes forward.
    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// Passes bytes on and measures how long they were waited for. (A reader who takes his time does
/// not make the way slow.)
final class MeasuredSource: ResumableSource {
    private let source: any ByteSource
    private let meter: TransferMeter
    private var hasAnswer = false
    private var bytes: Int64 = 0
    private var seconds = 0.0
    private static let step: Int64 = 1 << 20

    init(_ source: any ByteSource, _ meter: TransferMeter) {
        self.source = source
        self.meter = meter
    }

    func resume(at position: Int64) -> Bool {
        (source as? any ResumableSource)?.resume(at: position) == true
    }

    var wasInterrupted: Bool { (source as? any ResumableSource)?.wasInterrupted == true }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let start = TransferMeter.now()
        let count = try source.read(into: buffer)
        let waited = TransferMeter.now() - start
        guard hasAnswer else {
            hasAnswer = true
            meter.add(answer: waited)
            return count
        }
        bytes += Int64(count)
        seconds += waited
        if bytes >= Self.step || count == 0 {
            meter.add(bytes: bytes, seconds: seconds)
            bytes = 0
            seconds = 0
        }
        return count
    }
}
