public import LinuxSystem

/// What fuzzing has found worth keeping (`scripts/fuzz`), for the tests of the rooms to replay.
public enum FuzzCorpus {
    /// The inputs of a target, each whole, and as it may arrive: cut short, or damaged.
    public static func inputs(of target: String) throws(SystemError) -> [[UInt8]] {
        let package = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let directory = "\(package)/Fuzz/Corpus/\(target)"
        var inputs: [[UInt8]] = []
        for name in try File.names(in: directory) {
            let input = try File.read("\(directory)/\(name)")
            inputs.append(input)
            for length in stride(from: 0, to: input.count, by: max(1, input.count / 16)) {
                inputs.append(Array(input[..<length]))
                var damaged = input
                damaged[length] ^= 0x10
                inputs.append(damaged)
            }
        }
        return inputs
    }
}
