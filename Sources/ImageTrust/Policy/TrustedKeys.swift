internal import LinuxSystem

/// Keys or certificates that a policy names, or holds itself.
enum TrustedKeys: Equatable, Sendable {
    case paths([String])
    case data([[UInt8]])

    private static let limit = 4 << 20

    /// Each file's bytes.
    func load() throws(TrustError) -> [[UInt8]] {
        switch self {
        case .data(let bytes): return bytes
        case .paths(let paths):
            var result: [[UInt8]] = []
            for path in paths {
                do throws(SystemError) {
                    result.append(try File.read(path, limit: Self.limit))
                } catch {
                    throw TrustError(.key, "read the key \(path)", "\(error.errno)")
                }
            }
            return result
        }
    }
}
