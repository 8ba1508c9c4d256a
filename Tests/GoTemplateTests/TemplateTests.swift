import JSONText
import Testing

@testable import GoTemplate

@Suite struct TemplateTests {
    @Test func printsWhatGoPrints() throws {
        let data = try JSON(parsing: KnownOutputs.data)
        for (text, expected) in KnownOutputs.cases {
            do {
                let output = try Template(text).render(data)
                #expect(output == expected, "\(text)")
            } catch {
                #expect(expected == nil, "\(text): \(error)")
            }
        }
    }

    static func failure(_ text: String, _ missing: Template.MissingField = .noValue) -> String {
        do {
            var template = try Template(text)
            template.missingField = missing
            return try template.render(["Name": "web", "Config": ["Cmd": "x"]])
        } catch {
            return "\(error)"
        }
    }

    @Test func errorsNameThePlace() {
        #expect(Self.failure("{{.Name") == "template: 1:1: unclosed action")
        #expect(Self.failure("a\n  {{nosuch .Name}}") == #"template: 2:5: function "nosuch" not defined"#)
        #expect(Self.failure("{{if .Name}}x") == "template: 1:1: {{if}} has no {{end}}")
        #expect(Self.failure("x{{end}}") == "template: 1:2: unexpected {{end}}")
        #expect(
            Self.failure("{{.Name.X}}")
                == "template: 1:3: at <.Name.X>: can't evaluate field X in type string")
        #expect(
            Self.failure("{{index .Name 9}}") == "template: 1:3: error calling index: index out of range: 9")
    }

    @Test func missingFieldsAsAsked() {
        #expect(Self.failure("{{.Nmae}}") == "<no value>")
        #expect(
            Self.failure("{{.name}}", .errorAtTop)
                == "template: 1:3: at <.name>: can't evaluate field name (did you mean .Name?)")
        #expect(Self.failure("{{.Config.X}}", .errorAtTop) == "<no value>")
        #expect(
            Self.failure("{{.Config.X}}", .error) == "template: 1:3: at <.Config.X>: can't evaluate field X")
        #expect(Self.failure("{{with .Config}}{{.X}}{{$.Y}}{{end}}", .errorAtTop).contains("<$.Y>"))
    }

    @Test func jsonKeepsTheOrderOfADocument() throws {
        #expect(try Template("{{json .}}").render(["b": 1, "a": "<&>"]) == #"{"b":1,"a":"<&>"}"#)
    }

    @Test func methodsOfTheOutermostValue() throws {
        var template = try Template(#"{{.Label "x"}}-{{range .L}}{{$.Label .}}{{end}}-{{.Size}}"#)
        template.methods["Label"] = { arguments in arguments[0]?["Labels"]?[arguments[1]?.string ?? ""] ?? ""
        }
        template.methods["Size"] = { _ in "5MB" }
        #expect(try template.render(["Labels": ["x": "1", "y": "2"], "L": ["y", "z", "x"]]) == "1-21-5MB")
    }

    @Test func hostileTemplatesEnd() {
        #expect(Self.failure(String(repeating: "{{if .Name}}", count: 5000)).contains("nested too deeply"))
        #expect(Self.failure("{{" + String(repeating: "(", count: 5000) + "}}").contains("nested too deeply"))
        #expect(Self.failure(#"{{printf "%999999999s" "x"}}"#).utf8.count <= 5000)
    }
}

@Suite struct ListingFormatTests {
    let rows: [JSON] = [
        ["ID": "1234567890ab", "Names": "web", "Ports": "", "Labels": ["k": "v"]],
        ["ID": "ab", "Names": "a-rather-long-name", "Ports": "80/tcp", "Labels": [:]],
    ]
    let headings = ["ID": "CONTAINER ID", "Names": "NAMES", "Ports": "PORTS"]

    func format(_ text: String?, _ rows: [JSON]? = nil) throws -> String {
        try ListingFormat(
            text, default: #"table {{.ID}}\t{{.Ports}}\t{{.Names}}"#, headings: headings,
            methods: ["Label": { $0[0]?["Labels"]?[$0[1]?.string ?? ""] ?? "" }]
        ).render(rows ?? self.rows)
    }

    /// A label or a command of an image makes no rows or columns of its own, and does nothing to the
    /// terminal; a template gives it as it is.
    @Test func cellsAreText() throws {
        let row: JSON = ["ID": "a\nb\tc", "Ports": "\u{1b}[2J\u{7}", "Names": "\u{9b}31m\u{202e}x"]
        #expect(
            try format(nil, [row]) == """
                CONTAINER ID   PORTS     NAMES
                a b c           [2J       31m x

                """)
        #expect(try format("{{.ID}}", [row]) == "a\nb\tc\n")
    }

    @Test func columnsAsDockerLaysThemOut() throws {
        #expect(
            try format(nil) == """
                CONTAINER ID   PORTS     NAMES
                1234567890ab             web
                ab             80/tcp    a-rather-long-name

                """)
        #expect(try format("table") == format(nil))
    }

    @Test func ownTables() throws {
        #expect(
            try format(#"table {{upper .Names}}\t{{.ID}}"#)
                == """
                NAMES                ID
                WEB                  1234567890ab
                A-RATHER-LONG-NAME   ab

                """.replacing("   ID\n", with: "   CONTAINER ID\n"))
        #expect(try format(#"table {{.Label "k"}}"#) == "k\nv\n\n")
    }

    @Test func linesAndJSON() throws {
        #expect(try format("{{.Names}}") == "web\na-rather-long-name\n")
        #expect(try format(#"{{.Names}}\t{{.ID}}"#) == "web\t1234567890ab\na-rather-long-name\tab\n")
        #expect(try format(#"{{join (split .Names "-") "\n"}}"#) == "web\na\nrather\nlong\nname\n")
        #expect(try format("json").hasPrefix(#"{"ID":"1234567890ab","Names":"web""#))
        #expect(try format("json").filter { $0 == "\n" }.count == 2)
    }

    @Test func unknownFieldIsAnError() {
        #expect(throws: TemplateError.self) { try format("{{.Nope}}") }
        #expect(throws: TemplateError.self) { try format("table {{.Nope}}") }
    }
}
