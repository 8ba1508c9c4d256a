internal import LayerArchive
internal import LinuxSystem
internal import OCISpec

/// Images that `sync` copies, and how their registry is reached.
public struct SyncSource: Sendable {
    public struct Image: Sendable {
        public var source: ImageSource
        /// What it is called: a registry's whole name, or the path below the directory.
        public var name: String
    }

    public var images: [Image]
    public var options: TransferOptions

    /// All tags of a repository, or the one image that the name means.
    public static func repository(_ text: String, options: TransferOptions) throws(ImageError) -> SyncSource {
        let place = try RegistryPlace(text, options: options)
        let reference = place.reference
        guard reference.tag == nil, reference.digest == nil else {
            return SyncSource(images: [Image(reference)], options: options)
        }
        let images = try place.tags().map { tag in
            var reference = reference
            reference.tag = tag
            return Image(reference)
        }
        guard !images.isEmpty else {
            throw ImageError(.notFound, "sync docker://\(text)", "no images to sync found in \"\(text)\"")
        }
        return SyncSource(images: images, options: options)
    }

    /// All `dir:` images below a directory.
    public static func directory(_ path: String, options: TransferOptions) throws(ImageError) -> SyncSource {
        var images: [Image] = []
        var left = [""]
        while let relative = left.popLast() {
            let names: [String]
            do throws(SystemError) {
                names = try File.names(in: path + relative).sorted()
            } catch {
                guard relative.isEmpty || error.errno != .notDirectory else { continue }
                throw ImageError(.file, "sync dir:\(path)", error.description)
            }
            if names.contains("manifest.json") {
                let own = path.split(separator: "/").last.map(String.init) ?? path
                images.append(
                    Image(
                        source: .directory(path: path + relative),
                        name: relative.isEmpty ? own : String(relative.dropFirst())))
                continue
            }
            // A link may lead back up.
            left += names.reversed().map { "\(relative)/\($0)" }.filter {
                (try? File.readLink(path + $0)) == nil
            }
            guard left.count <= 1 << 20 else {
                throw ImageError(.limit, "sync dir:\(path)", "too many directories")
            }
        }
        guard !images.isEmpty else {
            throw ImageError(.notFound, "sync dir:\(path)", "no images to sync found in \"\(path)\"")
        }
        return SyncSource(images: images, options: options)
    }
}

extension SyncSource.Image {
    init(_ reference: ImageReference) {
        self.init(source: .registry(reference.canonical), name: reference.canonical)
    }
}
