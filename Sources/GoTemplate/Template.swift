public import JSONText

/// Go's text/template over JSON values: what `--format` takes. An object stands for a Go map (or
/// struct), an array for a slice. Not supported: `define`, `template`, `block`, methods that the
/// caller does not supply.
public struct Template: Sendable {
    /// A function of a template; an error's text is shown with the place of the call.
    public typealias Function = @Sendable (_ arguments: [JSON?]) throws(FunctionError) -> JSON?

    public struct FunctionError: Error, Sendable {
        public var message: String
        public init(_ message: String) { self.message = message }
    }

    /// What a field that an object does not have stands for.
    public enum MissingField: Sendable {
        /// `<no value>`, as in a Go map.
        case noValue
        /// An error when it is a field of the outermost value, as in a Go struct.
        case errorAtTop
        case error
    }

    public var missingField: MissingField = .noValue
    /// Methods of the outermost value: `{{.Label "com.example"}}` calls `methods["Label"]` with
    /// the value and the arguments.
    public var methods: [String: Function] = [:]

    let bytes: [UInt8]
    let nodes: [Node]
    var functions: [String: Function]

    /// - Parameter functions: functions beside the built-in ones.
    public init(_ text: String, functions: [String: Function] = [:]) throws(TemplateError) {
        let bytes = Array(text.utf8)
        self.bytes = bytes
        self.functions = functions
        do throws(Fault) {
            let tokens = try Lexer.tokens(of: bytes)
            var parser = Parser(tokens, functions: Builtin.names.union(functions.keys))
            nodes = try parser.template()
        } catch {
            throw TemplateError(error.message, at: error.offset, in: bytes)
        }
    }

    /// The text that the template makes of a value.
    public func render(_ value: JSON) throws(TemplateError) -> String {
        var evaluator = Evaluator(template: self, root: value)
        do throws(Fault) {
            return try evaluator.run()
        } catch {
            throw TemplateError(error.message, at: max(0, error.offset), in: bytes)
        }
    }
}
