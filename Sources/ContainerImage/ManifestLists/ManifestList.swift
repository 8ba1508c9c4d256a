internal import ContainerStorage
internal import ImageTrust
internal import JSONText
internal import LayerArchive
internal import LinuxSystem
public import OCISpec

/// An image list in the making: an index, and where the images are that it names.
public struct ManifestList: Sendable {
    /// The whole name.
    public let name: String
    /// 64 hexadecimal digits, whatever is in the list.
    public let id: String
    var members: [Member]
    var annotations: [String: String] = [:]

    struct Member: JSONDocument, Equatable {
        var descriptor: ContentDescriptor
        /// Where the image is: a transport and what it needs.
        var origin: String

        init(_ descriptor: ContentDescriptor, origin: String) {
            self.descriptor = descriptor
            self.origin = origin
        }

        init(json: JSON) throws(JSONError) {
            var reader = try ObjectReader(json)
            descriptor = try reader.required("descriptor")
            origin = try reader.required("origin")
        }

        var json: JSON { ["descriptor": descriptor.json, "origin": .string(origin)] }
    }

    /// What a push of the list without further ado sends.
    public var index: ImageIndex {
        let descriptors = members.map(\.descriptor)
        let isDocker =
            !descriptors.isEmpty
            && descriptors.allSatisfy {
                $0.mediaType == MediaType.dockerManifest && $0.annotations.isEmpty
            }
        return ImageIndex(
            mediaType: isDocker ? MediaType.dockerIndex : MediaType.ociIndex, manifests: descriptors,
            annotations: annotations)
    }

    func member(_ digest: String) throws(ImageError) -> Int {
        guard let position = members.firstIndex(where: { $0.descriptor.digest == digest }) else {
            throw ImageError(.notFound, "find \(digest)", "the list \(name) has no such image")
        }
        return position
    }

    /// What is said of a member beside what its image says itself.
    public struct Change: Sendable {
        public var architecture: String?
        public var os: String?
        public var variant: String?
        public var osVersion: String?
        public var osFeatures: [String] = []
        public var features: [String] = []
        public var annotations: [String: String] = [:]

        public init() {}

        func apply(to descriptor: inout ContentDescriptor) {
            var platform = descriptor.platform ?? Platform(os: "", architecture: "")
            if let architecture { platform.architecture = architecture }
            if let os { platform.os = os }
            if let variant { platform.variant = variant.isEmpty ? nil : variant }
            if let osVersion { platform.osVersion = osVersion }
            if !osFeatures.isEmpty { platform.osFeatures = osFeatures }
            descriptor.platform = platform
            if !features.isEmpty { descriptor.unknown["features"] = features.json }
            for (name, value) in annotations { descriptor.annotations[name] = value }
        }
    }
}

/// The images of a list, each from its own place.
struct ManifestListProvider: ImageProvider {
    let list: ManifestList
    let options: TransferOptions
    let progress: any TransferProgress
    let stop: StopFlag

    var name: String { list.name }
    /// It is of the store; its images are asked for where they come from.
    var scope: PolicyScope? { nil }

    func top() throws(ImageError) -> TopDocument {
        let index = list.index
        return TopDocument(bytes: index.json.bytes(), mediaType: index.mediaType ?? "", digest: nil)
    }

    func member(_ descriptor: ContentDescriptor) throws -> any ImageProvider {
        let origin = list.members[try list.member(descriptor.digest)].origin
        return try ImageSource(parsingTransport: origin).provider(options, progress: progress, stop: stop)
    }

    func document(_ descriptor: ContentDescriptor, _ digest: Digest) throws(ImageError) -> [UInt8] {
        do {
            return try member(descriptor).document(descriptor, digest)
        } catch {
            throw ImageError("read \(name)", any: error)
        }
    }

    func blob(_ descriptor: ContentDescriptor, _ digest: Digest) throws(ImageError) -> any ByteSource {
        throw ImageError(.notFound, "read \(name)", "a list has no blobs of its own")
    }
}
