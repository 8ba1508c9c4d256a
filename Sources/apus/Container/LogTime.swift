import CommandGrammar
import ContainerEngine
import ContainerMonitor
import LinuxSystem

/// An instant as `--since` and `--until` take it.
enum LogTime {
    /// RFC 3339 (with parts left out from the end), seconds since 1970, or a span before now.
    static func parse(_ text: String, flag: String) throws -> Timestamp {
        if let time = Timestamp(parsing: text) { return time }
        let complete = ["T00:00:00Z", ":00:00Z", ":00Z", "Z"]
        for ending in complete {
            if let time = Timestamp(parsing: String(text.map { $0 == " " ? "T" : $0 }) + ending) {
                return time
            }
        }
        if let seconds = Double(text), seconds >= 0, seconds < 1e11 {
            return Timestamp(
                seconds: Int64(seconds), nanoseconds: Int32((seconds - seconds.rounded(.down)) * 1e9))
        }
        if let span = Quantity.duration(text) {
            let now = Timestamp.now
            let (seconds, attoseconds) = span.components
            var nanoseconds = Int64(now.nanoseconds) - attoseconds / 1_000_000_000
            var whole = now.seconds - seconds
            if nanoseconds < 0 {
                nanoseconds += 1_000_000_000
                whole -= 1
            }
            return Timestamp(seconds: whole, nanoseconds: Int32(nanoseconds))
        }
        throw EngineError(
            .invalid, "invalid --\(flag) \"\(text)\": use a time (2006-01-02T15:04:05Z) or a span (10m)")
    }
}
