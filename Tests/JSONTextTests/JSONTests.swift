import JSONText
import Testing

@Suite struct JSONTests {
    @Test func roundTripKeepsOrderAndNumbers() throws {
        let text = #"{"z":1,"a":[true,null,-0.50,1e9,18446744073709551615],"u":"é\n\"\\"}"#
        #expect(try JSON(parsing: text).text() == text)
    }

    @Test func indentsAsGoDoes() throws {
        let value: JSON = ["a": [1, 2], "b": [:], "c": []]
        #expect(
            value.text(indent: "    ")
                == "{\n    \"a\": [\n        1,\n        2\n    ],\n    \"b\": {},\n    \"c\": []\n}")
    }

    @Test func lastOfTwoMembersWins() throws {
        #expect(try JSON(parsing: #"{"a":1,"a":2}"#)["a"] == 2)
    }

    @Test func surrogatePairs() throws {
        #expect(try JSON(parsing: #""\ud83d\ude00""#).string == "😀")
        #expect(try JSON(parsing: #""\ud83dx""#).string == "\u{FFFD}x")
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\"}", "01", "1.", "\"\u{01}\"", "\"\\x\"", "nul", "{} x", "[1 2]", "\"a",
        "-", "1e", "\"\\u12g4\"", "{a:1}",
    ])
    func refuses(_ text: String) {
        #expect(throws: JSONError.self) { try JSON(parsing: text) }
    }

    @Test func refusesDeepNesting() {
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: JSONError.self) { try JSON(parsing: deep) }
    }

    @Test func errorsNameTheirPlace() throws {
        let json = try JSON(parsing: #"{"mounts":[{"destination":"/"},{"destination":7}]}"#)
        var reader = try ObjectReader(json)
        #expect(throws: JSONError(path: "mounts[1].destination", "expected a string, found a number")) {
            _ = try reader.optional("mounts", as: [Mount].self)
        }
    }

    @Test func manyMembersStayReachable() throws {
        var object = JSONObject()
        for number in 0..<5000 { object["k\(number)"] = .integer(Int64(number)) }
        object.remove("k17")
        #expect(object["k4999"] == 4999 && object["k17"] == nil && object.count == 4999)
    }

    @Test func printableText() {
        #expect("a\u{1b}[31m\nb\u{7f}\u{85}\u{2028}é".printable() == "a [31m b   é")
        #expect("abc".printable(limit: 3) == "abc" && "abcd".printable(limit: 3) == "abc…")
        let json: JSON = ["a\n": ["b\t", 1, .null, ["c": "\u{0}"]]]
        #expect(json.printable == ["a ": ["b ", 1, .null, ["c": " "]]])
    }

    struct Mount: JSONDocument {
        var destination: String
        init(json: JSON) throws(JSONError) {
            var reader = try ObjectReader(json)
            destination = try reader.required("destination")
        }
        var json: JSON { ["destination": .string(destination)] }
    }
}
