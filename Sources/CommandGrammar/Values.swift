/// What was written after a command: its flags' values and its arguments.
/// To ask for a flag that the command does not have is a programming error and traps.
public struct Values: Sendable {
    /// The words that chose the command: `["container", "run"]`.
    public internal(set) var path: [String] = []
    public internal(set) var arguments: [String] = []
    /// Sentences about deprecated flags that were used, for standard error.
    public internal(set) var warnings: [String] = []

    let flags: [Flag]
    var occurrences: [Occurrence] = []

    /// One writing of a flag. Every value has been checked against the flag's kind.
    struct Occurrence: Sendable {
        var flag: Int
        var value: String
    }

    init(flags: [Flag]) { self.flags = flags }

    private func index(_ name: String, _ accessor: StaticString) -> Int {
        guard let index = flags.firstIndex(where: { $0.name == name }) else {
            preconditionFailure("\(accessor): the command declares no flag --\(name)")
        }
        return index
    }

    private func last(_ name: String, _ accessor: StaticString) -> String? {
        let index = index(name, accessor)
        return occurrences.last { $0.flag == index }?.value ?? flags[index].defaultValue
    }

    /// Whether the flag was written, with whatever value.
    public func isSet(_ name: String) -> Bool {
        let index = index(name, #function)
        return occurrences.contains { $0.flag == index }
    }

    /// The last value written, else the default.
    public func string(_ name: String) -> String? { last(name, #function) }

    public func bool(_ name: String) -> Bool {
        last(name, #function).map { Quantity.bool($0) ?? false } ?? false
    }

    /// The boolean that was written; nil when none was and there is no default.
    public func optionalBool(_ name: String) -> Bool? { last(name, #function).flatMap(Quantity.bool) }

    public func int(_ name: String) -> Int? { last(name, #function).flatMap(Quantity.integer) }

    public func uint(_ name: String) -> UInt? {
        last(name, #function).flatMap(Quantity.unsignedInteger)
    }

    public func decimal(_ name: String) -> Double? { last(name, #function).flatMap(Quantity.decimal) }

    /// Bytes.
    public func size(_ name: String) -> Int64? { last(name, #function).flatMap(Quantity.bytes) }

    public func duration(_ name: String) -> Duration? { last(name, #function).flatMap(Quantity.duration) }

    /// All values in the order in which they were written; the default's only when there are none.
    public func list(_ name: String) -> [String] {
        let index = index(name, #function)
        let written = occurrences.filter { $0.flag == index }.map(\.value)
        guard case .commaList = flags[index].kind else {
            return written.isEmpty ? flags[index].defaultValue.map { [$0] } ?? [] : written
        }
        let all = written.isEmpty ? flags[index].defaultValue.map { [$0] } ?? [] : written
        return all.flatMap { $0.split(separator: ",").map(String.init) }
    }

    public func count(_ name: String) -> Int {
        let index = index(name, #function)
        var count = flags[index].defaultValue.flatMap(Quantity.integer) ?? 0
        for occurrence in occurrences where occurrence.flag == index {
            count = occurrence.value == "+1" ? count + 1 : Quantity.integer(occurrence.value) ?? count
        }
        return count
    }

    /// Several flags' values in the order in which they were written among each other
    /// (`--filter` and `--label-file` style flags where the later wins).
    public func ordered(_ names: [String]) -> [(name: String, value: String)] {
        let indices = names.map { index($0, #function) }
        return occurrences.filter { indices.contains($0.flag) }.map { (flags[$0.flag].name, $0.value) }
    }
}
