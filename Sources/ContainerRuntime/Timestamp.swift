import LinuxSystem

enum Timestamp {
    /// RFC 3339 with nanoseconds, in UTC, as Go writes it.
    static var now: String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        var parts = tm()
        var seconds = time.tv_sec
        gmtime_r(&seconds, &parts)
        func padded(_ value: Int, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
        }
        var fraction = padded(Int(time.tv_nsec), 9)
        while fraction.utf8.last == UInt8(ascii: "0") { fraction.removeLast() }
        if !fraction.isEmpty { fraction = "." + fraction }
        return padded(Int(parts.tm_year) + 1900, 4) + "-" + padded(Int(parts.tm_mon) + 1, 2) + "-"
            + padded(Int(parts.tm_mday), 2) + "T" + padded(Int(parts.tm_hour), 2) + ":"
            + padded(Int(parts.tm_min), 2) + ":" + padded(Int(parts.tm_sec), 2) + fraction + "Z"
    }
}
