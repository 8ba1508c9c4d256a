import LinuxSystem
import Testing

/// Replays what fuzzing has found worth keeping (`scripts/fuzz`).
@Suite struct FuzzCorpusTests {
    @Test(arguments: FuzzTarget.allCases)
    func everyInputIsReadOrRefused(_ target: FuzzTarget) throws {
        let package = "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
        let directory = "\(package)/Fuzz/Corpus/\(target.rawValue)"
        let names = try File.names(in: directory)
        #expect(!names.isEmpty)
        for name in names {
            let input = try File.read("\(directory)/\(name)")
            target.run(input)
            // And as it may arrive: cut short, or damaged.
            for length in stride(from: 0, to: input.count, by: max(1, input.count / 16)) {
                target.run(Array(input[..<length]))
                var damaged = input
                damaged[length] ^= 0x10
                target.run(damaged)
            }
        }
    }
}
