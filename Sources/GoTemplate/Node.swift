internal import JSONText

/// A parsed template's parts. Every offset is a place in the template's text.
indirect enum Node: Sendable {
    case text(String)
    case print(Pipeline)
    case condition(Pipeline, then: [Node], otherwise: [Node])
    case with(Pipeline, then: [Node], otherwise: [Node])
    case range(Pipeline, body: [Node], otherwise: [Node])
    case leaveLoop
    case nextTurn
}

/// `$a, $b := command | command`
struct Pipeline: Sendable {
    var variables: [String] = []
    var assigns = false
    var commands: [Call] = []
    var offset: Int
}

/// A function, method or value with its arguments.
struct Call: Sendable {
    var operands: [Operand]
    var offset: Int
}

struct Operand: Sendable {
    var kind: Kind
    /// `.A.B` after it.
    var fields: [String] = []
    var offset: Int

    indirect enum Kind: Sendable {
        case dot
        case variable(String)
        case function(String)
        case constant(JSON)
        case absent
        case pipeline(Pipeline)
    }

    /// How it stands in the template, for error messages.
    var source: String {
        let suffix = fields.map { "." + $0 }.joined()
        switch kind {
        case .dot: return suffix.isEmpty ? "." : suffix
        case .variable(let name): return "$" + name + suffix
        case .function(let name): return name
        case .constant(let value): return value.text()
        case .absent: return "nil"
        case .pipeline: return "(…)" + suffix
        }
    }
}
