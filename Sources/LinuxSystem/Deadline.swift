/// A moment up to which work may go on.
public struct Deadline: Sendable {
    private let end: timespec?

    /// There is none.
    public static let never = Deadline(end: nil)

    private init(end: timespec?) { self.end = end }

    public init(milliseconds: Int) {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        let nanoseconds = now.tv_nsec + milliseconds % 1000 * 1_000_000
        end = timespec(
            tv_sec: now.tv_sec + milliseconds / 1000 + nanoseconds / 1_000_000_000,
            tv_nsec: nanoseconds % 1_000_000_000)
    }

    public var isOver: Bool {
        guard let end else { return false }
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return (now.tv_sec, now.tv_nsec) >= (end.tv_sec, end.tv_nsec)
    }
}
