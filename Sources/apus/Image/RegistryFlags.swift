import CommandGrammar
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

    static func apply(_ values: Values, to options: inout TransferOptions) {
        options.authFile = values.string("authfile")
        options.certificateDirectory = values.string("cert-dir")
        applyVerification(values, to: &options)
    }

    static func applyVerification(_ values: Values, to options: inout TransferOptions) {
        if values.isSet("tls-verify") { options.verifyTLS = values.bool("tls-verify") }
    }
}
