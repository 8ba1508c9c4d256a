import LinuxSystem

extension Timestamp {
    /// Nanoseconds since 1970, as the database keeps an instant (until the year 2262).
    var inNanoseconds: Int64 { seconds &* 1_000_000_000 &+ Int64(nanoseconds) }

    init(nanoseconds: Int64) {
        self.init(seconds: nanoseconds / 1_000_000_000, nanoseconds: Int32(nanoseconds % 1_000_000_000))
    }
}
