/// A timer that a descriptor tells of (timerfd_create(2)), on the monotonic clock.
public struct TimerDescriptor: ~Copyable, Sendable {
    private let descriptor: Descriptor
    public var raw: Int32 { descriptor.raw }

    public init() throws(SystemError) {
        descriptor = Descriptor(
            owning: try retrying("timerfd_create") {
                timerfd_create(CLOCK_MONOTONIC, Int32(TFD_CLOEXEC | TFD_NONBLOCK))
            })
    }

    /// Becomes readable once, so many milliseconds from now.
    public func arm(milliseconds: Int) {
        // Zero would disarm it.
        let milliseconds = max(milliseconds, 1)
        set(timespec(tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000))
    }

    public func disarm() { set(timespec()) }

    private func set(_ value: timespec) {
        var setting = itimerspec(it_interval: timespec(), it_value: value)
        timerfd_settime(raw, 0, &setting, nil)
    }

    /// Takes the expiry, so that the descriptor is readable no more.
    public func acknowledge() {
        var count: UInt64 = 0
        _ = Glibc.read(raw, &count, MemoryLayout<UInt64>.size)
    }
}
