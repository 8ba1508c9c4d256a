/// A set of processors or memory nodes: a bit each, in words as the kernel takes them.
struct NumberSet: Equatable {
    private(set) var words: [UInt64]

    /// Numbers from here on are refused; the kernel has fewer (NR_CPUS, MAX_NUMNODES).
    static let limit = 8192

    /// - Parameter list: as in `0-3,7` (cpuset(7), "List format").
    init?(list: String) {
        words = []
        for part in list.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false)
            guard ends.count <= 2, let first = Self.number(ends[0]),
                let last = ends.count == 2 ? Self.number(ends[1]) : first, first <= last
            else { return nil }
            for number in first...last { insert(number) }
        }
    }

    private init(words: [UInt64]) { self.words = words }

    static func kernel(_ words: [UInt64]) -> NumberSet { NumberSet(words: words) }

    private static func number(_ text: Substring) -> Int? {
        guard let number = Int(text.filter { $0 != " " }), (0..<limit).contains(number) else { return nil }
        return number
    }

    private mutating func insert(_ number: Int) {
        while words.count <= number / 64 { words.append(0) }
        words[number / 64] |= 1 << UInt64(number % 64)
    }

    var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

    /// `0x3`.
    var hexadecimal: String {
        guard let top = words.lastIndex(where: { $0 != 0 }) else { return "0x0" }
        var text = "0x" + String(words[top], radix: 16)
        for word in words[..<top].reversed() {
            let digits = String(word, radix: 16)
            text += String(repeating: "0", count: 16 - digits.count) + digits
        }
        return text
    }
}
