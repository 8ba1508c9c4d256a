extension Trace {
    /// A line for each step, in aligned columns: when it began, how long it took (microseconds), in
    /// which process, and what it was. Then the whole, and the step that took the most.
    public var report: String {
        let steps = allSteps
        var rows = [["at µs", "took µs", "process", "step", "what"]]
        for step in steps {
            rows.append([
                Self.microseconds(step.start), step.duration.map(Self.microseconds) ?? "·",
                step.side.rawValue, step.name, Self.printable(step.detail),
            ])
        }
        let widths = (0..<4).map { column in rows.map { $0[column].count }.max() ?? 0 }
        var text = ""
        for row in rows {
            for column in 0..<4 {
                let padding = String(repeating: " ", count: widths[column] - row[column].count)
                text += (column < 2 ? padding + row[column] : row[column] + padding) + "  "
            }
            text += row[4] + "\n"
        }
        let end = steps.map { $0.start + ($0.duration ?? 0) }.max() ?? 0
        text += "total \(Self.microseconds(end)) µs"
        let work = steps.filter { $0.name != Self.waiting }
        if let longest = work.max(by: { ($0.duration ?? 0) < ($1.duration ?? 0) }) {
            let what = longest.detail.isEmpty ? "" : " \(Self.printable(longest.detail))"
            text +=
                "; longest: \(Self.microseconds(longest.duration ?? 0)) µs, \(longest.name)\(what)"
                + " (\(longest.side.rawValue))"
        }
        return text + "\n"
    }

    private static func microseconds(_ nanoseconds: UInt64) -> String { String((nanoseconds + 500) / 1000) }

    /// A config's text must not steer the terminal that it is printed on.
    private static func printable(_ text: String) -> String {
        var output = ""
        for scalar in text.unicodeScalars {
            if scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value) {
                output += "\\x" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            } else {
                output.unicodeScalars.append(scalar)
            }
        }
        return output
    }
}
