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

extension String {
    /// Whether one of a path's components is `..`. By bytes, as the kernel reads it.
    var climbs: Bool {
        var (length, dots) = (0, 0)
        for byte in utf8 {
            if byte == UInt8(ascii: "/") {
                if length == 2, dots == 2 { return true }
                (length, dots) = (0, 0)
            } else {
                length += 1
                if byte == UInt8(ascii: ".") { dots += 1 }
            }
        }
        return length == 2 && dots == 2
    }
}
