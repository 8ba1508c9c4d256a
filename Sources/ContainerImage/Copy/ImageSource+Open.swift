public import ContainerStorage
internal import ImageTrust
internal import LayerArchive
internal import LinuxSystem
internal import OCISpec
internal import RegistryClient

/// How `apus:` names are looked up: what short names mean in a store is not for this room to say.
public struct LocalStores: Sendable {
    /// The store in a directory, or the usual one.
    public var open: @Sendable (_ root: String?) throws -> Store
    public var find: @Sendable (_ root: String?, _ name: String) throws -> (Store, ImageRecord)

    public init(
        open: @escaping @Sendable (_ root: String?) throws -> Store,
        find: @escaping @Sendable (_ root: String?, _ name: String) throws -> (Store, ImageRecord)
    ) {
        self.open = open
        self.find = find
    }
}

extension TransferOptions {
    func localStores(for source: ImageSource) throws(ImageError) -> LocalStores {
        guard let stores else {
            throw ImageError(.unsupported, "open \(source)", "there are no stores here")
        }
        return stores
    }
}

extension ImageSource {
    /// Opens the place to read an image.
    func provider(
        _ options: TransferOptions, progress: any TransferProgress, stop: StopFlag
    ) throws -> any ImageProvider {
        switch self {
        case .registry(let text):
            // As docker has it: what names no registry is Docker Hub's.
            let reference = try ImageReference(parsing: text).tagged
            return try RegistryProvider(
                reference, config: RegistriesConfig.load(explicit: options.registriesConfig),
                client: RegistryClient(options.registryOptions(for: reference.domain, stop: stop)),
                progress: progress, verb: "read")
        case .layout(let path, let reference):
            let files = try LayoutFiles(DirectoryFiles(path), shared: options.sharedBlobs)
            return try LayoutProvider(files, reference: reference, name: description)
        case .layoutArchive(let path, let reference):
            return try LayoutProvider(Self.archive(path), reference: reference, name: description)
        case .dockerArchive(let path, let reference):
            let archive = try DockerArchive(Self.archive(path))
            return try DockerArchiveProvider(archive, archive.choose(reference), name: description)
        case .directory(let path): return try DirectoryProvider(path: path)
        case .store(let root, let name):
            let (store, record) = try options.localStores(for: self).find(root, name)
            return try StoreProvider(store, record)
        case .daemon(let name):
            let daemon = try DockerDaemon(host: options.daemonHost, stop: stop)
            let archive = try DockerArchive(daemon.archive(of: name, scratch: ScratchFile.directory))
            guard archive.entries.count == 1 else {
                throw ImageError(
                    .malformed, "read \(description)",
                    "the daemon gave an archive with \(archive.entries.count) images")
            }
            return try DockerArchiveProvider(
                archive, archive.entries[0], name: description,
                scope: PolicyScope(transport: "docker-daemon"))
        }
    }

    private static func archive(_ path: String) throws(ImageError) -> ArchiveFiles {
        try ArchiveFiles(opening: path, scratch: ScratchFile.directory)
    }

    /// Opens the place to write images.
    func destination(
        _ options: TransferOptions, _ form: PushForm, stop: StopFlag
    ) throws -> any ImageDestination {
        switch self {
        case .registry(let text):
            return try RegistryDestination(
                try ImageReference(parsing: text).tagged, options: options, stop: stop)
        case .layout(let path, _):
            try refuse(form, .v2s2)
            return try LayoutDestination(
                path: path, options: options, keepsPlainLayers: form.keepsPlainLayers)
        case .layoutArchive(let path, _):
            try refuse(form, .v2s2)
            return try LayoutArchiveDestination(path: path, keepsPlainLayers: form.keepsPlainLayers)
        case .dockerArchive(let path, _):
            try refusePlain(form)
            return try DockerArchiveDestination(path: path)
        case .directory(let path):
            return try DirectoryDestination(
                path: path, layers: form.compressesDirectory ? .compressed : .any)
        case .daemon:
            try refusePlain(form)
            return try DaemonDestination(
                DockerDaemon(host: options.daemonHost, stop: stop), name: description)
        case .store:
            throw ImageError(.unsupported, "write \(description)", "a store takes its images by itself")
        }
    }

    private func refuse(_ form: PushForm, _ format: ManifestFormat) throws(ImageError) {
        guard form.format == format else { return }
        throw ImageError(
            .configuration, "write \(description)", "an OCI layout holds no \(format.rawValue) manifest")
    }

    private func refusePlain(_ form: PushForm) throws(ImageError) {
        guard form.format == .oci || form.compression != nil || form.again else { return }
        throw ImageError(
            .configuration, "write \(description)",
            "a docker-archive holds plain layers and no OCI manifest: leave --format and compression out")
    }

    /// What an image is called where this says that it goes.
    var names: [String] {
        get throws(ImageError) {
            switch self {
            case .layout(_, let name), .layoutArchive(_, let name): return [name].compactMap { $0 }
            case .dockerArchive(_, let name):
                guard let name else { return [] }
                return [try ImageReference(parsing: name).tagged.canonical]
            case .daemon(let name):
                guard !name.hasPrefix("sha256:") else {
                    throw ImageError(
                        .invalidReference, "write \(description)", "an image gets a name there, not an ID")
                }
                return [try ImageReference(parsing: name).tagged.canonical]
            default: return []
            }
        }
    }
}
