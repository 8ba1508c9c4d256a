extension String {
    /// Without white space at its ends.
    var trimmed: String {
        var rest = Substring(self)
        while let first = rest.first, first.isWhitespace { rest.removeFirst() }
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return String(rest)
    }

    /// What a peer says, fit for a terminal: no control characters (escape
    /// sequences among them), one line, and not endless.
    func printable(limit: Int) -> String {
        var output = String.UnicodeScalarView()
        for scalar in unicodeScalars.prefix(limit) {
            output.append(scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value) ? " " : scalar)
        }
        let text = String(output).trimmed
        return unicodeScalars.count > limit ? text + "…" : text
    }
}
