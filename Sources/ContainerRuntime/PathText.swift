extension Sequence where Element == String {
    /// `joined(separator:)` without the standard library's generic code, which makes
    /// type metadata at run time; for what every start of a container does.
    @inline(__always)
    func joinedPlainly(by separator: String) -> String {
        var text = ""
        var isFirst = true
        for part in self {
            if !isFirst { text += separator }
            text += part
            isFirst = false
        }
        return text
    }
}
