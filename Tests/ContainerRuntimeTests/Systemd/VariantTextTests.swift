import Testing

@testable import ContainerRuntime

@Suite struct VariantTextTests {
    @Test func basicValues() throws {
        #expect(try VariantText.parse("true") == .boolean(true))
        #expect(try VariantText.parse(" false ") == .boolean(false))
        #expect(try VariantText.parse("7") == .int32(7))
        #expect(try VariantText.parse("-7") == .int32(-7))
        #expect(try VariantText.parse("0x10") == .int32(16))
        #expect(try VariantText.parse("010") == .int32(8))
        #expect(try VariantText.parse("1.5") == .double(1.5))
        #expect(try VariantText.parse("1e3") == .double(1000))
        #expect(try VariantText.parse("'it''s'".replacing("''", with: "\\'")) == .string("it's"))
        #expect(try VariantText.parse(#""a\tb\u00e4""#) == .string("a\tbä"))
        #expect(try VariantText.parse("b'ab'") == .bytes([0x61, 0x62, 0]))
    }

    @Test func typesAreNamed() throws {
        #expect(try VariantText.parse("uint64 5") == .uint64(5))
        #expect(try VariantText.parse("@t 5") == .uint64(5))
        #expect(try VariantText.parse("byte 0xff") == .byte(255))
        #expect(try VariantText.parse("int16 -1") == .int16(-1))
        #expect(try VariantText.parse("double 2") == .double(2))
        #expect(try VariantText.parse("objectpath '/a'") == .objectPath("/a"))
        #expect(try VariantText.parse("signature 'as'") == .signature("as"))
        #expect(try VariantText.parse("boolean true") == .boolean(true))
    }

    @Test func containers() throws {
        #expect(
            try VariantText.parse("['a', \"b\"]") == .array(of: "s", [.string("a"), .string("b")]))
        #expect(
            try VariantText.parse("[1, uint32 2]")
                == .array(of: "u", [.uint32(1), .uint32(2)]))
        #expect(try VariantText.parse("[1, 2.5]") == .array(of: "d", [.double(1), .double(2.5)]))
        #expect(try VariantText.parse("@as []") == .array(of: "s", []))
        #expect(try VariantText.parse("@ay [1, 255]") == .bytes([1, 255]))
        #expect(
            try VariantText.parse("[('/dev/null', 'rw')]")
                == .array(of: "(ss)", [.structure([.string("/dev/null"), .string("rw")])]))
        #expect(
            try VariantText.parse("{'a': <1>, 'b': <'x'>}")
                == .array(
                    of: "{sv}",
                    [
                        .entry(.string("a"), .variant(.int32(1))),
                        .entry(.string("b"), .variant(.string("x"))),
                    ]))
        #expect(try VariantText.parse("(1,)") == .structure([.int32(1)]))
        #expect(
            try VariantText.parse("[[1], [byte 2]]")
                == .array(of: "ay", [.bytes([1]), .bytes([2])]))
    }

    @Test(arguments: [
        "", " ", "[", "[]", "[1", "[1 2]", "[,]", "'a", "a", "tru", "5 6", "'a' 'b'", "byte 256", "uint32 -1",
        "2147483648", "uint64 1.5", "@z 1", "@as 5", "@as [1]", "[1, 'a']", "(,)", "()", "{1}", "{'a': }",
        "<", "<1", "--1", "+-1", "0x", "1x", "double x", "'\\u12'", "@a{vs} {}", "uint32 'a'",
        String(repeating: "[", count: 100_000),
    ])
    func badTextIsRefused(text: String) {
        #expect(throws: DBusError.self) { try VariantText.parse(text) }
    }
}
