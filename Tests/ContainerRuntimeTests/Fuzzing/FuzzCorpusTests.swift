import FuzzCorpus
import Testing

/// Replays what fuzzing has found worth keeping (`scripts/fuzz`).
@Suite struct FuzzCorpusTests {
    @Test(arguments: FuzzTarget.allCases)
    func everyInputIsReadOrRefused(_ target: FuzzTarget) throws {
        let inputs = try FuzzCorpus.inputs(of: target.rawValue)
        #expect(!inputs.isEmpty)
        inputs.forEach(target.run)
    }
}
