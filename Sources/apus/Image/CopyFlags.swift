import CommandGrammar
import ContainerEngine
import ContainerImage
import LayerArchive
import LinuxSystem
import OCISpec

/// The flags of skopeo's commands: about one place, or about two with `src-` and `dest-` before them.
enum CopyFlags {
    /// Flags about a registry, a layout or a daemon.
    /// - Parameter side: `src-`, `dest-`, or nothing.
    /// - Parameter hasFiles: layouts and daemons can be meant, too.
    static func place(_ side: String, hasFiles: Bool = true) -> [Flag] {
        let files = [
            Flag("\(side)daemon-host", .string("HOST"), "Docker daemon to use (docker-daemon: only)"),
            Flag(
                "\(side)shared-blob-dir", .string("DIR"),
                "Directory of the blobs of several layouts (oci: only)", completing: .directories),
        ]
        let short: [String] = side.isEmpty ? [] : ["\(side.prefix(1))creds"]
        return [
            Flag(
                "\(side)authfile", .string("FILE"), "Path of the authentication file", completing: .files),
            Flag(
                "\(side)cert-dir", .string("DIR"), "Directory of TLS certificates", completing: .directories),
            Flag("\(side)creds", aliases: short, .string("USER[:PASSWORD]"), "Credentials for the registry"),
            Flag("\(side)no-creds", .bool, "Access the registry anonymously"),
            Flag("\(side)password", .string("PASSWORD"), "Password for the registry"),
            Flag("\(side)registry-token", .string("TOKEN"), "Bearer token for the registry"),
            Flag("\(side)tls-verify", .bool, default: "true", "Require HTTPS and verify certificates"),
            Flag("\(side)username", .string("USER"), "User name for the registry"),
        ] + (hasFiles ? files : [])
    }

    static func platform() -> [Flag] {
        [
            Flag(
                "override-arch", .string("ARCH"),
                "Use ARCH instead of the machine's architecture to choose images"),
            Flag("override-os", .string("OS"), "Use OS instead of the machine's to choose images"),
            Flag(
                "override-variant", .string("VARIANT"),
                "Use VARIANT of the architecture to choose images"),
        ]
    }

    static let repetition = Flag(
        "retry-times", .unsignedInteger("TIMES"), "How often a failed request is repeated (5 times)")

    /// What was said about a place.
    /// - Parameter hasFiles: layouts and daemons can be meant, too.
    static func options(_ values: Values, _ side: String, hasFiles: Bool = true) throws -> TransferOptions {
        var options = TransferOptions()
        options.stores = GlobalFlags.stores(values)
        options.authFile = values.string("\(side)authfile")
        options.certificateDirectory = values.string("\(side)cert-dir")
        if hasFiles {
            options.daemonHost = values.string("\(side)daemon-host")
            options.sharedBlobs = values.string("\(side)shared-blob-dir")
        }
        options.registryToken = values.string("\(side)registry-token")
        options.isAnonymous = values.bool("\(side)no-creds")
        options.credentials = values.string("\(side)creds")
        if let user = values.string("\(side)username") {
            guard let password = values.string("\(side)password") else {
                throw EngineError(.invalid, "--\(side)username needs --\(side)password")
            }
            guard options.credentials == nil else {
                throw EngineError(.invalid, "--\(side)creds and --\(side)username contradict each other")
            }
            options.credentials = "\(user):\(password)"
        } else if values.isSet("\(side)password") {
            throw EngineError(.invalid, "--\(side)password needs --\(side)username")
        }
        guard !options.isAnonymous || (options.credentials == nil && options.registryToken == nil) else {
            throw EngineError(.invalid, "--\(side)no-creds and credentials contradict each other")
        }
        if values.isSet("\(side)tls-verify") { options.verifyTLS = values.bool("\(side)tls-verify") }
        if let times = values.uint("retry-times") { options.retries = Int(min(times, 1000)) }
        return options
    }

    /// What was said for both places.
    static func applyCommon(_ values: Values, to options: inout TransferOptions) {
        TrustFlags.apply(values, to: &options)
        options.authFile = options.authFile ?? values.string("authfile")
        if options.verifyTLS == nil, values.isSet("tls-verify") {
            options.verifyTLS = values.bool("tls-verify")
        }
    }

    static func chosenPlatform(_ values: Values) -> Platform? {
        guard values.isSet("override-arch") || values.isSet("override-os") || values.isSet("override-variant")
        else { return nil }
        var platform = Platform.host
        if let architecture = values.string("override-arch") {
            platform.architecture = architecture
            platform.variant = nil
        }
        if let os = values.string("override-os") { platform.os = os }
        if let variant = values.string("override-variant") { platform.variant = variant }
        return platform
    }

    static let both: [Flag] = [
        Flag(
            "authfile", .string("FILE"), "Path of the authentication file, for both places",
            completing: .files),
        Flag("tls-verify", .bool, default: "true", "--src-tls-verify and --dest-tls-verify", hidden: true),
    ]

    /// Runs a command that answers with skopeo's exit codes: 1, and 2 for an image that is not there.
    static func withExitCodes(_ body: () throws -> Int32) -> Int32 {
        do {
            return try body()
        } catch let code as ExitCode {
            return code.code
        } catch {
            let known = EngineError(error)
            Output.complain(known.message)
            return known.code == .notFound || (error as? ImageError)?.code == .notFound ? 2 : 1
        }
    }
}
