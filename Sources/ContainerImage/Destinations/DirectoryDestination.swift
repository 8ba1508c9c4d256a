internal import ImageTrust
internal import LayerArchive
internal import LinuxSystem
internal import Synchronization

/// A `dir:` image, as `DirectoryProvider` reads it: a new directory, an empty one, or one with an
/// image, which makes room.
final class DirectoryDestination: ImageDestination {
    let name: String
    let traits: DestinationTraits
    private let staging: StagingDirectory
    private let kept = Mutex(
        (names: Set<String>(), manifest: [UInt8](), signatures: [(name: String, bytes: [UInt8])]()))
    private static let version = Array("Directory Transport Version: 1.1\n".utf8)

    init(path: String, layers: DestinationTraits.Layers) throws {
        name = "dir:\(path)"
        var traits = DestinationTraits()
        traits.layers = layers
        self.traits = traits
        if let names = try? File.names(in: path), !names.isEmpty, !names.contains("version"),
            names.contains(where: { !$0.hasPrefix(".") })
        {
            throw ImageError(.file, "write dir:\(path)", "it is not empty and holds no image")
        }
        staging = try StagingDirectory(in: path)
    }

    private func add(_ name: String, size: Int64, _ open: () throws -> any ByteSource) throws -> Bool {
        kept.withLock { _ = $0.names.insert(name) }
        return try staging.add(name, size: size, open)
    }

    func put(layer: OutgoingBlob) throws -> Bool {
        try add(layer.digest.hex, size: layer.size, layer.open)
    }

    func put(config: OutgoingBlob) throws { _ = try put(layer: config) }

    func put(instance: OutgoingManifest) throws {
        _ = try add("\(instance.digest.hex).manifest.json", size: Int64(instance.bytes.count)) {
            BytesSource(instance.bytes)
        }
    }

    func put(top: OutgoingManifest, names: [String]) { kept.withLock { $0.manifest = top.bytes } }

    func requireRoom(simple: Bool, sigstore: Bool) {}

    func put(signatures: [ImageSignature], of manifest: Digest, isTop: Bool) {
        let prefix = isTop ? "" : "\(manifest.hex)."
        kept.withLock { kept in
            for (index, signature) in signatures.enumerated() {
                kept.signatures.append(("\(prefix)signature-\(index + 1)", signature.fileContents))
            }
        }
    }

    func commit() throws {
        let (names, manifest, signatures) = kept.withLock { ($0.names, $0.manifest, $0.signatures) }
        let path = staging.target
        try staging.publish(
            // It says to whoever comes after one that was killed here whose directory this is.
            before: { try staging.replace("version", with: Self.version) },
            after: {
                try staging.replace("manifest.json", with: manifest)
                for signature in signatures { try staging.replace(signature.name, with: signature.bytes) }
                let kept = names.union(signatures.map(\.name))
                // The image that made room is whole until here.
                for name in try File.names(in: path) where Self.isPart(name) && !kept.contains(name) {
                    try File.unlink("\(path)/\(name)")
                }
            })
    }

    private static func isPart(_ name: String) -> Bool {
        if name.hasPrefix("signature-") { return true }
        let hex = name.prefix { $0 != "." }
        guard [64, 128].contains(hex.count), hex.allSatisfy(\.isHexDigit) else { return false }
        let rest = name.dropFirst(hex.count)
        return rest.isEmpty || rest == ".manifest.json" || rest.hasPrefix(".signature-")
    }
}
