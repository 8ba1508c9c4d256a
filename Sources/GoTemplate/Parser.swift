internal import JSONText

struct Parser {
    private let tokens: [(token: Token, offset: Int)]
    private let functions: Set<String>
    private var position = 0
    private var scopes: [[String]] = [["$"]]
    private var loops = 0
    private var depth = 0

    /// Deeper templates are refused: the parser and the evaluator recurse.
    static let maximumDepth = 200

    init(_ tokens: [(token: Token, offset: Int)], functions: Set<String>) {
        self.tokens = tokens
        self.functions = functions
    }

    private var token: Token { tokens[position].token }
    private var offset: Int { tokens[position].offset }

    private mutating func advance() { position = min(position + 1, tokens.count - 1) }

    mutating func template() throws(Fault) -> [Node] {
        let (nodes, terminator, place) = try list()
        if let terminator { throw Fault("unexpected {{\(terminator)}}", at: place) }
        return nodes
    }

    /// Nodes up to `{{end}}` or `{{else …}}`, which is taken up to (not past) what follows the word.
    private mutating func list() throws(Fault) -> (nodes: [Node], terminator: String?, offset: Int) {
        depth += 1
        defer { depth -= 1 }
        guard depth < Self.maximumDepth else { throw Fault("nested too deeply", at: offset) }
        var nodes: [Node] = []
        while true {
            switch token {
            case .end: return (nodes, nil, offset)
            case .text(let text):
                nodes.append(.text(text))
                advance()
            case .open:
                let opened = offset
                advance()
                if case .identifier(let word) = token {
                    if word == "end" || word == "else" {
                        advance()
                        return (nodes, word, opened)
                    }
                    if let node = try control(word, opened) {
                        nodes.append(node)
                        continue
                    }
                }
                nodes.append(.print(try pipeline(until: .close)))
            default: throw Fault("unexpected \(describe(token))", at: offset)
            }
        }
    }

    private mutating func control(_ word: String, _ opened: Int) throws(Fault) -> Node? {
        switch word {
        case "if", "with", "range":
            advance()
            return try block(word, opened)
        case "break", "continue":
            guard loops > 0 else { throw Fault("{{\(word)}} outside {{range}}", at: opened) }
            advance()
            try close(after: word)
            return word == "break" ? .leaveLoop : .nextTurn
        case "define", "template", "block":
            throw Fault("{{\(word)}} is not supported", at: opened)
        default: return nil
        }
    }

    private mutating func block(_ word: String, _ opened: Int) throws(Fault) -> Node {
        scopes.append([])
        defer { scopes.removeLast() }
        let condition = try pipeline(until: .close, isRange: word == "range")
        if word == "range" { loops += 1 }
        var (body, terminator, place) = try list()
        if word == "range" { loops -= 1 }
        var otherwise: [Node] = []
        if terminator == "else" {
            if case .identifier(let next) = token,
                next == "if" && word == "if" || next == "with" && word == "with"
            {
                // {{else if}} is {{else}}{{if}} with one {{end}} for both.
                advance()
                otherwise = [try block(next, place)]
                terminator = "done"
            } else {
                try close(after: "else")
                (otherwise, terminator, place) = try list()
                if terminator == "else" { throw Fault("expected {{end}}, found {{else}}", at: place) }
            }
        }
        if terminator == nil { throw Fault("{{\(word)}} has no {{end}}", at: opened) }
        if terminator == "end" { try close(after: "end") }
        switch word {
        case "if": return .condition(condition, then: body, otherwise: otherwise)
        case "with": return .with(condition, then: body, otherwise: otherwise)
        default: return .range(condition, body: body, otherwise: otherwise)
        }
    }

    private mutating func close(after word: String) throws(Fault) {
        guard token == .close else { throw Fault("unexpected \(describe(token)) in {{\(word)}}", at: offset) }
        advance()
    }

    private mutating func pipeline(until closing: Token, isRange: Bool = false) throws(Fault) -> Pipeline {
        depth += 1
        defer { depth -= 1 }
        guard depth < Self.maximumDepth else { throw Fault("nested too deeply", at: offset) }
        var pipeline = Pipeline(offset: offset)
        try declarations(&pipeline, isRange: isRange)
        while true {
            pipeline.commands.append(try call(until: closing, isFirst: pipeline.commands.isEmpty))
            if token == closing {
                advance()
                break
            }
            guard token == .pipe else { throw Fault("unexpected \(describe(token))", at: offset) }
            advance()
        }
        if !pipeline.assigns { scopes[scopes.count - 1] += pipeline.variables }
        return pipeline
    }

    /// `$x :=`, `$x =`, `$i, $x :=`
    private mutating func declarations(_ pipeline: inout Pipeline, isRange: Bool) throws(Fault) {
        guard case .variable(let name) = token else { return }
        var names = [name]
        var next = position + 1
        if isRange, tokens[next].token == .comma, next + 1 < tokens.count,
            case .variable(let second) = tokens[next + 1].token
        {
            names.append(second)
            next += 2
        }
        switch tokens[next].token {
        case .declare: break
        case .assign:
            for name in names { try requireDeclared(name) }
            pipeline.assigns = true
        default: return
        }
        pipeline.variables = names
        position = next
        advance()
    }

    private func requireDeclared(_ name: String) throws(Fault) {
        let known = name.isEmpty || scopes.contains { $0.contains(name) }
        if !known { throw Fault("undefined variable \"$\(name)\"", at: offset) }
    }

    private mutating func call(until closing: Token, isFirst: Bool) throws(Fault) -> Call {
        var call = Call(operands: [], offset: offset)
        while token != closing, token != .pipe, token != .close, token != .end {
            call.operands.append(try operand())
        }
        guard let head = call.operands.first else {
            throw Fault(isFirst ? "missing value for command" : "missing command after |", at: offset)
        }
        if token == .close, closing != .close { throw Fault("unclosed left parenthesis", at: call.offset) }
        if token == .end { throw Fault("unclosed action", at: call.offset) }
        switch head.kind {
        case .constant, .absent:
            if case .absent = head.kind, isFirst { throw Fault("nil is not a command", at: head.offset) }
            if call.operands.count > 1 || !isFirst {
                throw Fault("cannot give argument to non-function \(head.source)", at: head.offset)
            }
        case .dot where head.fields.isEmpty, .pipeline where head.fields.isEmpty,
            .variable where head.fields.isEmpty:
            if call.operands.count > 1 || !isFirst {
                throw Fault("cannot give argument to non-function \(head.source)", at: head.offset)
            }
        default: break
        }
        return call
    }

    private mutating func operand() throws(Fault) -> Operand {
        let start = offset
        var operand: Operand
        switch token {
        case .dot: operand = Operand(kind: .dot, offset: start)
        case .field(let name, _): operand = Operand(kind: .dot, fields: [name], offset: start)
        case .variable(let name):
            try requireDeclared(name)
            operand = Operand(kind: .variable(name), offset: start)
        case .string(let text): operand = Operand(kind: .constant(.string(text)), offset: start)
        case .integer(let value), .character(let value):
            operand = Operand(kind: .constant(.integer(value)), offset: start)
        case .decimal(let value): operand = Operand(kind: .constant(.number("\(value)")), offset: start)
        case .identifier("true"): operand = Operand(kind: .constant(.bool(true)), offset: start)
        case .identifier("false"): operand = Operand(kind: .constant(.bool(false)), offset: start)
        case .identifier("nil"): operand = Operand(kind: .absent, offset: start)
        case .identifier(let name):
            guard functions.contains(name) else { throw Fault("function \"\(name)\" not defined", at: start) }
            operand = Operand(kind: .function(name), offset: start)
        case .leftParenthesis:
            advance()
            operand = Operand(kind: .pipeline(try pipeline(until: .rightParenthesis)), offset: start)
            position -= 1
        default: throw Fault("unexpected \(describe(token)) in operand", at: start)
        }
        advance()
        while case .field(let name, glued: true) = token {
            switch operand.kind {
            case .constant, .absent, .function:
                throw Fault("unexpected .\(name) after \(operand.source)", at: offset)
            default: break
            }
            operand.fields.append(name)
            advance()
        }
        return operand
    }

    private func describe(_ token: Token) -> String {
        switch token {
        case .end: "the end of the template"
        case .close: "\"}}\""
        case .open: "\"{{\""
        case .pipe: "\"|\""
        case .comma: "\",\""
        case .declare: "\":=\""
        case .assign: "\"=\""
        case .leftParenthesis: "\"(\""
        case .rightParenthesis: "\")\""
        case .dot: "\".\""
        case .identifier(let name): "\"\(name)\""
        case .field(let name, _): "\".\(name)\""
        case .variable(let name): "\"$\(name)\""
        case .string, .character, .integer, .decimal, .text: "a constant"
        }
    }
}
