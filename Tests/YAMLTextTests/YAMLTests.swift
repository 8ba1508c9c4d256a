import JSONText
import Testing
import YAMLText

@Suite struct YAMLTests {
    private func json(_ text: String) throws -> String {
        try YAML.parse(Array(text.utf8)).text()
    }

    @Test func documents() throws {
        #expect(try json("a: 1\nb: [x, \"2\", 1.20, true, ~]\n") == #"{"a":1,"b":["x","2",1.20,true,null]}"#)
        #expect(try json("a:\n  - b: |\n      one\n      two\n") == #"{"a":[{"b":"one\ntwo\n"}]}"#)
        #expect(try json("x: &n {k: v}\ny: *n\n") == #"{"x":{"k":"v"},"y":{"k":"v"}}"#)
        #expect(try json("") == "null")
        #expect(try json("v: 1.2.3\nw: 010\n--- \nnext: 1") == #"{"v":"1.2.3","w":"010"}"#)
    }

    @Test(arguments: [
        "a: [1", "a: *b", "a: 1\na: 2", "? [x]\n: 1", "\t- a",
        String(repeating: "[", count: 200) + String(repeating: "]", count: 200),
    ])
    func refused(_ text: String) {
        #expect(throws: YAMLError.self) { try json(text) }
    }

    /// Nine anchors, each nine times the one before.
    @Test func bombs() {
        var text = "a0: &a0 x\n"
        for level in 1...9 {
            let inner = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(inner)]\n"
        }
        #expect(throws: YAMLError.self) { try json(text) }
    }
}
