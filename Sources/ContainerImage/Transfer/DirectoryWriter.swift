internal import LayerArchive
internal import LinuxSystem

/// Writes a `dir:` image, as `DirectoryProvider` reads it.
struct DirectoryWriter {
    private let path: String
    private static let version = Array("Directory Transport Version: 1.1\n".utf8)

    /// A new directory, an empty one, or one with an image, which makes room.
    init(_ path: String) throws {
        self.path = path
        try File.makeDirectories(path)
        let names = try File.names(in: path)
        guard names.isEmpty || names.contains("version") else {
            throw ImageError(.file, "write dir:\(path)", "it is not empty and holds no image")
        }
        // The manifest goes first: there is no image without it. `version` stays, and says to
        // whoever comes after one that was killed here whose directory this is.
        for name in names.filter(Self.isManifest) + names.filter(Self.isPart) {
            try File.unlink("\(path)/\(name)")
        }
    }

    private static func isManifest(_ name: String) -> Bool {
        name == "manifest.json" || name.hasSuffix(".manifest.json")
    }

    private static func isPart(_ name: String) -> Bool {
        name.hasPrefix("signature-") || (name.count == 64 && name.allSatisfy(\.isHexDigit))
    }

    func write(_ image: OutgoingImage) throws {
        try SavedFile(Self.version).write(to: "\(path)/version")
        for blob in image.layers + [image.config] {
            let target = "\(path)/\(blob.digest.hex)"
            guard !File.exists(target) else { continue }
            try SavedFile(size: blob.size, source: blob.open).write(to: target)
        }
        try SavedFile(image.manifestBytes).write(to: "\(path)/manifest.json")
    }
}
