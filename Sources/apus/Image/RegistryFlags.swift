import CommandGrammar
import ContainerEngine
import ContainerImage

/// Flags about the way to a registry.
enum RegistryFlags {
    static func flags() -> [Flag] {
        [
            Flag("authfile", .string("FILE"), "Path of the authentication file", completing: .files),
            Flag(
                "cert-dir", .string("DIR"), "Directory of TLS certificates for registries",
                completing: .directories),
        ]
    }

    static let verification = Flag(
        "tls-verify", .bool, default: "true", "Require HTTPS and verify certificates")

    static func repetition() -> [Flag] {
        [
            Flag("retry", .unsignedInteger("TIMES"), "How often a failed request is repeated (5 times)"),
            Flag(
                "retry-delay", .duration("DURATION"),
                "Pause before the first repetition (250ms); it doubles each time"),
        ]
    }

    static func applyRepetition(_ values: Values, to options: inout TransferOptions) throws {
        if let times = values.uint("retry") { options.retries = Int(min(times, 1000)) }
        if let delay = values.duration("retry-delay") {
            guard delay >= .zero, delay <= .seconds(3600) else {
                throw EngineError(.invalid, "invalid --retry-delay: it goes up to an hour")
            }
            options.retryDelay = Int(delay / .milliseconds(1))
        }
    }

    static func apply(_ values: Values, to options: inout TransferOptions) {
        options.authFile = values.string("authfile")
        options.certificateDirectory = values.string("cert-dir")
        applyVerification(values, to: &options)
    }

    static func applyVerification(_ values: Values, to options: inout TransferOptions) {
        if values.isSet("tls-verify") { options.verifyTLS = values.bool("tls-verify") }
    }
}
