public import ContainerStorage
internal import LayerArchive
internal import LinuxSystem
public import OCISpec
internal import RegistryClient

/// Brings images into a store and out of it.
///
///     let transfer = ImageTransfer(store: store, progress: bars)
///     let record = try transfer.pull(ImageSource(parsing: "docker.io/library/debian:12"))
///
/// Whatever fails leaves nothing behind: blobs and layers become visible when
/// they are whole and verified, an image when all of its parts are.
public struct ImageTransfer: Sendable {
    public let store: Store
    public var options: TransferOptions
    public var progress: any TransferProgress
    /// In place of what is measured: for tests, whose registries are all near.
    var assumedRate: TransferRate?

    public init(
        store: Store, options: TransferOptions = TransferOptions(),
        progress: any TransferProgress = SilentProgress()
    ) {
        self.store = store
        self.options = options
        self.progress = progress
    }
}

/// What the user said about a transfer.
public struct TransferOptions: Sendable {
    /// `--platform`; nil for the machine's own.
    public var platform: Platform?
    /// `--creds`, as `USER:PASSWORD`
    public var credentials: String?
    /// `--authfile`
    public var authFile: String?
    /// `--cert-dir`
    public var certificateDirectory: String?
    /// `--tls-verify`; nil when it was not given.
    public var verifyTLS: Bool?
    /// `--retry`: how often a failed request is repeated.
    public var retries: Int?
    /// `--retry-delay`, in milliseconds: the pause before the first repetition.
    public var retryDelay: Int?
    /// A registries.conf in place of the system's.
    public var registriesConfig: String?
    /// `--no-creds`: whoever is logged in.
    public var isAnonymous = false
    /// `--registry-token`
    public var registryToken: String?
    /// Where the blobs of layouts are, when they are not in them.
    public var sharedBlobs: String?
    /// `unix://` or `tcp://`; nil for what DOCKER_HOST says.
    public var daemonHost: String?
    public var stores: LocalStores?
    public var trust = TrustOptions()
    /// Layers that come at once.
    public var threads = 3

    public init() {}

    /// - Parameter host: the registry that the image's name has: what the user gave for it goes to no
    ///   mirror, and to no other place that registries.conf has for it. Of a short name each candidate's
    ///   registry gets it, as podman has it.
    func registryOptions(for host: String, stop: StopFlag) throws(ImageError) -> RegistryOptions {
        var result = RegistryOptions()
        result.credentialsHost = host
        if let credentials {
            guard let parsed = Credentials(parsing: credentials) else {
                throw ImageError(.configuration, "read --creds", "expected USER:PASSWORD")
            }
            result.credentials = parsed
        }
        if let registryToken { result.credentials = .registryToken(registryToken) }
        result.isAnonymous = isAnonymous
        result.authFile = authFile
        result.certificateDirectory = certificateDirectory
        result.verifyTLS = verifyTLS
        result.stop = stop
        if let retries { result.retries = retries }
        if let retryDelay { result.firstPauseMilliseconds = retryDelay }
        return result
    }
}
