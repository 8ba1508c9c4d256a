internal import OCISpec

/// Picks the manifest of an index that fits a platform.
enum PlatformChoice {
    /// - Throws: `unknownPlatform`, with what is there, when none does.
    static func choose(
        _ wanted: Platform, from index: ImageIndex, name: String
    ) throws(ImageError) -> ContentDescriptor {
        var best: (descriptor: ContentDescriptor, distance: Int)?
        var unnamed: [ContentDescriptor] = []
        for descriptor in index.manifests {
            guard
                descriptor.mediaType.isEmpty || MediaType.isManifest(descriptor.mediaType)
                    || MediaType.isIndex(descriptor.mediaType)
            else { continue }
            guard let platform = descriptor.platform, !(platform.os.isEmpty && platform.architecture.isEmpty)
            else {
                unnamed.append(descriptor)
                continue
            }
            guard let distance = wanted.distance(to: platform) else { continue }
            if distance < best?.distance ?? .max { best = (descriptor, distance) }
        }
        if let best { return best.descriptor }
        // Without a platform it is for any, or its config will say.
        if let first = unnamed.first { return first }
        throw ImageError(
            .unknownPlatform, "pull \(name)",
            "the image is not there for \(wanted); it is for \(list(index.manifests.compactMap(\.platform)))")
    }

    static func list(_ platforms: [Platform]) -> String {
        var names: [String] = []
        for platform in platforms where platform.os != "unknown" {
            let name = "\(platform)"
            if !names.contains(name) { names.append(name) }
        }
        if names.isEmpty { return "no platform at all" }
        let shown = names.prefix(30).joined(separator: ", ")
        return names.count > 30 ? "\(shown) and \(names.count - 30) more" : shown
    }
}
