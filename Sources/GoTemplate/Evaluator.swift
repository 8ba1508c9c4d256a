internal import JSONText

struct Evaluator {
    private let template: Template
    private let root: JSON
    private var variables: [(name: String, value: JSON?)] = []
    private var output = ""

    /// Loops of an absurd template must not fill the memory.
    private static let maximumOutput = 256 << 20

    private enum Flow { case next, leaveLoop, nextTurn }

    init(template: Template, root: JSON) {
        self.template = template
        self.root = root
    }

    mutating func run() throws(Fault) -> String {
        _ = try execute(template.nodes, root)
        return output
    }

    private mutating func execute(_ nodes: [Node], _ dot: JSON?) throws(Fault) -> Flow {
        for node in nodes {
            switch node {
            case .text(let text): output += text
            case .print(let pipeline):
                let value = try evaluate(pipeline, dot)
                if pipeline.variables.isEmpty { output += value.map(GoText.plain) ?? "<no value>" }
                guard output.utf8.count <= Self.maximumOutput else {
                    throw Fault("output too large", at: pipeline.offset)
                }
            case .condition(let pipeline, let then, let otherwise):
                let mark = variables.count
                defer { variables.removeLast(variables.count - mark) }
                let flow = try execute(GoText.isTrue(try evaluate(pipeline, dot)) ? then : otherwise, dot)
                if flow != .next { return flow }
            case .with(let pipeline, let then, let otherwise):
                let mark = variables.count
                defer { variables.removeLast(variables.count - mark) }
                let value = try evaluate(pipeline, dot)
                let flow = GoText.isTrue(value) ? try execute(then, value) : try execute(otherwise, dot)
                if flow != .next { return flow }
            case .range(let pipeline, let body, let otherwise):
                let flow = try loop(pipeline, body, otherwise, dot)
                if flow != .next { return flow }
            case .leaveLoop: return .leaveLoop
            case .nextTurn: return .nextTurn
            }
        }
        return .next
    }

    private mutating func loop(
        _ pipeline: Pipeline, _ body: [Node], _ otherwise: [Node], _ dot: JSON?
    ) throws(Fault) -> Flow {
        let mark = variables.count
        defer { variables.removeLast(variables.count - mark) }
        var plain = pipeline
        plain.variables = []
        let items: [(key: JSON, value: JSON)]
        switch try evaluate(plain, dot) {
        case nil, .null?: items = []
        case .array(let elements)?:
            items = elements.enumerated().map { (.integer(Int64($0.offset)), $0.element) }
        case .object(let object)?:
            items = object.members.sorted { $0.name < $1.name }.map { (.string($0.name), $0.value) }
        case .integer(let count)?:
            items = (0..<min(max(0, count), 1_000_000)).map { (.integer($0), .integer($0)) }
        case let value?: throw Fault("range can't iterate over \(GoText.plain(value))", at: pipeline.offset)
        }
        if items.isEmpty { return try execute(otherwise, dot) }
        for item in items {
            let turn = variables.count
            defer { variables.removeLast(variables.count - turn) }
            switch pipeline.variables.count {
            case 1: set(pipeline.variables[0], item.value, assigns: pipeline.assigns)
            case 2:
                set(pipeline.variables[0], item.key, assigns: pipeline.assigns)
                set(pipeline.variables[1], item.value, assigns: pipeline.assigns)
            default: break
            }
            if try execute(body, item.value) == .leaveLoop { break }
        }
        return .next
    }

    private mutating func set(_ name: String, _ value: JSON?, assigns: Bool) {
        if assigns, let index = variables.lastIndex(where: { $0.name == name }) {
            variables[index].value = value
        } else {
            variables.append((name, value))
        }
    }

    private mutating func evaluate(_ pipeline: Pipeline, _ dot: JSON?) throws(Fault) -> JSON? {
        var value: JSON?
        for (index, command) in pipeline.commands.enumerated() {
            value = try evaluate(command, dot, piped: index > 0 ? .some(value) : .none)
        }
        for name in pipeline.variables { set(name, value, assigns: pipeline.assigns) }
        return value
    }

    private mutating func evaluate(_ call: Call, _ dot: JSON?, piped: JSON??) throws(Fault) -> JSON? {
        let head = call.operands[0]
        if case .function(let name) = head.kind {
            // `and` and `or` stop at the first operand that decides.
            if name == "and" || name == "or" { return try decide(name, call, dot, piped: piped) }
            let arguments = try arguments(of: call, dot, piped: piped)
            do throws(Template.FunctionError) {
                if let own = template.functions[name] { return try own(arguments) }
                return try Builtin.call(name, arguments)
            } catch {
                throw Fault("error calling \(name): \(error.message)", at: head.offset)
            }
        }
        if call.operands.count > 1 || piped != nil || head.fields.count == 1 {
            if let name = head.fields.last, head.fields.count == 1, let method = template.methods[name],
                try operand(head, dropping: 1, dot) == root
            {
                let arguments = try arguments(of: call, dot, piped: piped)
                do throws(Template.FunctionError) {
                    return try method([root] + arguments)
                } catch {
                    throw Fault("error calling \(name): \(error.message)", at: head.offset)
                }
            }
            if call.operands.count > 1 || piped != nil {
                throw Fault("\(head.source) is not a method but has arguments", at: head.offset)
            }
        }
        return try operand(head, dot)
    }

    private mutating func arguments(of call: Call, _ dot: JSON?, piped: JSON??) throws(Fault) -> [JSON?] {
        var arguments: [JSON?] = []
        for argument in call.operands.dropFirst() { arguments.append(try value(of: argument, dot)) }
        if let piped { arguments.append(piped) }
        return arguments
    }

    private mutating func decide(_ name: String, _ call: Call, _ dot: JSON?, piped: JSON??) throws(Fault)
        -> JSON?
    {
        var value: JSON?
        let operands = call.operands.dropFirst()
        if operands.isEmpty, piped == nil {
            throw Fault("wrong number of args for \(name): want at least 1 got 0", at: call.offset)
        }
        for argument in operands {
            value = try self.value(of: argument, dot)
            if GoText.isTrue(value) == (name == "or") { return value }
        }
        return piped ?? value
    }

    /// An operand that is an argument: a function there is called without arguments.
    private mutating func value(of argument: Operand, _ dot: JSON?) throws(Fault) -> JSON? {
        if case .function = argument.kind {
            return try evaluate(Call(operands: [argument], offset: argument.offset), dot, piped: .none)
        }
        return try operand(argument, dot)
    }

    private mutating func operand(_ operand: Operand, dropping: Int = 0, _ dot: JSON?) throws(Fault) -> JSON?
    {
        var value: JSON?
        var isTop = false
        switch operand.kind {
        case .dot:
            value = dot
            isTop = dot == root
        case .variable(let name):
            if name.isEmpty {
                value = root
                isTop = true
            } else {
                value = variables.last { $0.name == name }?.value
            }
        case .constant(let constant): value = constant
        case .absent: value = nil
        case .pipeline(let pipeline): value = try evaluate(pipeline, dot)
        case .function: value = nil
        }
        for (index, name) in operand.fields.dropLast(dropping).enumerated() {
            value = try field(name, of: value, isTop: isTop && index == 0, operand)
        }
        return value
    }

    private func field(_ name: String, of value: JSON?, isTop: Bool, _ operand: Operand) throws(Fault)
        -> JSON?
    {
        switch value {
        case nil:
            if template.missingField == .error {
                throw Fault(
                    "at <\(operand.source)>: nil data; no entry for key \"\(name)\"", at: operand.offset)
            }
            return nil
        case .null?:
            throw Fault(
                "at <\(operand.source)>: nil pointer evaluating interface {}.\(name)", at: operand.offset)
        case .object(let object)?:
            if let member = object[name] { return member }
            if template.missingField == .error || template.missingField == .errorAtTop && isTop {
                let known = object.members.map(\.name)
                var message = "at <\(operand.source)>: can't evaluate field \(name)"
                if let near = known.first(where: { $0.lowercased() == name.lowercased() }) {
                    message += " (did you mean .\(near)?)"
                }
                throw Fault(message, at: operand.offset)
            }
            return nil
        case let value?:
            throw Fault(
                "at <\(operand.source)>: can't evaluate field \(name) in type \(GoText.typeName(value))",
                at: operand.offset)
        }
    }
}
