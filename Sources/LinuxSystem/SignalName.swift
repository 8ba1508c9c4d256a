/// Signals by name and number (signal(7)), as `kill`, `stop --signal` and an
/// image's `StopSignal` write them: `KILL`, `SIGKILL`, `sigkill`, `9`, `RTMIN+3`.
public enum SignalName {
    private static let names: [(name: String, number: Int32)] = [
        ("HUP", 1), ("INT", 2), ("QUIT", 3), ("ILL", 4), ("TRAP", 5), ("ABRT", 6), ("BUS", 7), ("FPE", 8),
        ("KILL", 9), ("USR1", 10), ("SEGV", 11), ("USR2", 12), ("PIPE", 13), ("ALRM", 14), ("TERM", 15),
        ("STKFLT", 16), ("CHLD", 17), ("CONT", 18), ("STOP", 19), ("TSTP", 20), ("TTIN", 21),
        ("TTOU", 22), ("URG", 23), ("XCPU", 24), ("XFSZ", 25), ("VTALRM", 26), ("PROF", 27),
        ("WINCH", 28), ("IO", 29), ("PWR", 30), ("SYS", 31), ("IOT", 6), ("POLL", 29), ("CLD", 17),
    ]
    /// The first and last real-time signal that a C library leaves to programs.
    private static let firstRealTime: Int32 = 34
    private static let lastRealTime: Int32 = 64

    /// The number, or nil for what is no signal.
    public static func number(_ text: String) -> Int32? {
        if let number = Int32(text) { return (1...lastRealTime).contains(number) ? number : nil }
        var name = text.uppercased()
        if name.hasPrefix("SIG") { name.removeFirst(3) }
        if let known = names.first(where: { $0.name == name }) { return known.number }
        if name == "RTMIN" { return firstRealTime }
        if name == "RTMAX" { return lastRealTime }
        if name.hasPrefix("RTMIN+"), let offset = Int32(name.dropFirst(6)), (0...30).contains(offset) {
            return firstRealTime + offset
        }
        if name.hasPrefix("RTMAX-"), let offset = Int32(name.dropFirst(6)), (0...30).contains(offset) {
            return lastRealTime - offset
        }
        return nil
    }

    /// `SIGTERM`; `SIGRTMIN+3` for real-time signals.
    public static func name(_ number: Int32) -> String {
        if let known = names.first(where: { $0.number == number }) { return "SIG" + known.name }
        if number == firstRealTime { return "SIGRTMIN" }
        if number > firstRealTime, number <= lastRealTime { return "SIGRTMIN+\(number - firstRealTime)" }
        return "\(number)"
    }
}
