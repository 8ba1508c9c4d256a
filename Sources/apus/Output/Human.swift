import ContainerEngine
import ContainerMonitor
import LinuxSystem

/// Numbers and times as Docker prints them.
enum Human {
    /// `1.23MB`: powers of 1000, three significant digits (go-units' HumanSize).
    static func size(_ bytes: Int64) -> String {
        var value = Double(bytes)
        var unit = 0
        let units = ["B", "kB", "MB", "GB", "TB", "PB"]
        while value >= 1000, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        return significant(value, digits: 3) + units[unit]
    }

    /// `%.3g` without an exponent.
    private static func significant(_ value: Double, digits: Int) -> String {
        var decimals = digits - 1
        var scale = 10.0
        while value >= scale, decimals > 0 {
            decimals -= 1
            scale *= 10
        }
        var factor = 1.0
        for _ in 0..<decimals { factor *= 10 }
        let rounded = Int64((value * factor).rounded())
        let whole = rounded / Int64(factor)
        var fraction = String(rounded % Int64(factor))
        guard decimals > 0 else { return String(whole) }
        fraction = String(repeating: "0", count: decimals - fraction.count) + fraction
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return fraction.isEmpty ? String(whole) : "\(whole).\(fraction)"
    }

    /// `2 hours`, `About a minute`: go-units' HumanDuration.
    static func duration(seconds: Int64) -> String {
        let minutes = seconds / 60
        let hours = Int64((Double(seconds) / 3600).rounded())
        switch seconds {
        case ..<1: return "Less than a second"
        case 1: return "1 second"
        case ..<60: return "\(seconds) seconds"
        default: break
        }
        if minutes == 1 { return "About a minute" }
        if minutes < 60 { return "\(minutes) minutes" }
        if hours == 1 { return "About an hour" }
        if hours < 48 { return "\(hours) hours" }
        if hours < 24 * 7 * 2 { return "\(hours / 24) days" }
        if hours < 24 * 30 * 2 { return "\(hours / 24 / 7) weeks" }
        if hours < 24 * 365 * 2 { return "\(hours / 24 / 30) months" }
        return "\(hours / 24 / 365) years"
    }

    /// How long ago an instant was.
    static func age(_ time: Timestamp, _ now: Timestamp) -> String {
        duration(seconds: now.seconds - time.seconds)
    }

    /// `2006-01-02 15:04:05 +0000 UTC`, in the local time zone.
    static func local(_ time: Timestamp) -> String {
        var seconds = time_t(time.seconds)
        var parts = tm()
        localtime_r(&seconds, &parts)
        var buffer = [CChar](repeating: 0, count: 64)
        let count = strftime(&buffer, buffer.count, "%Y-%m-%d %H:%M:%S %z %Z", &parts)
        return String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
