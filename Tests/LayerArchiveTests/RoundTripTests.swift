import LinuxSystem
import Testing

@testable import LayerArchive

@Suite struct RoundTripTests {
    @Test func everythingComesBack() throws {
        let scratch = try Scratch()
        let source = try scratch.directory("source")
        try scratch.run("cd source; \(everything)")
        let packed = try archive(source)
        #expect(try archive(source) == packed)
        for whiteouts in [LayerApplier.Whiteouts.none, .overlay, .remove] {
            let target = try scratch.directory("\(whiteouts)")
            try apply(packed, to: target, whiteouts)
            try expectSame(snapshot(source.raw), snapshot(target.raw), "\(whiteouts)")
            // And once more over what is there.
            try apply(packed, to: target, whiteouts)
            try expectSame(snapshot(source.raw), snapshot(target.raw), "\(whiteouts) again")
            #expect(try archive(target) == packed)
        }
    }
}
