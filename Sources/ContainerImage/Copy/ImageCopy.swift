internal import ImageTrust
internal import JSONText
internal import LayerArchive
internal import LinuxSystem
internal import OCISpec

/// Which of an index's images are copied.
public enum ImageSelection: Sendable, Equatable {
    /// The one for the platform that was asked for, or the machine's.
    case platform
    case all
    /// None: the index alone.
    case indexOnly
}

/// Carries an image, or all images of an index, from one place to another.
///
/// What need not change goes as it came, to the byte, and through memory alone. A layer that must
/// be compressed or inflated is, once, into a file without a name, because its digest must be known
/// before the destination is asked whether it has it.
struct ImageCopy: Sendable {
    var source: any ImageProvider
    let destination: any ImageDestination
    var form = PushForm()
    var trust = TrustOptions()
    var selection = ImageSelection.platform
    /// nil for the machine's own.
    var platform: Platform?
    var threads = 3
    var progress: any TransferProgress = SilentProgress()
    var stop = StopFlag()
    /// For what is made on the way; the file has no name.
    var makeScratch: @Sendable () throws -> Descriptor = {
        try ScratchFile.make(in: ScratchFile.directory)
    }

    /// Copies, and leaves the destination's `commit` to the caller.
    /// - Returns: what the name leads to at the destination.
    func run(names: [String]) throws -> OutgoingManifest {
        let top = try SourceDocument(topOf: source)
        let outgoing: OutgoingManifest
        if case .index(let index, let type) = top.content, selection != .platform {
            outgoing = try copy(index, type, top)
        } else {
            guard selection != .indexOnly else {
                throw ImageError(.unsupported, "copy \(source.name)", "it is one image and no index")
            }
            let chosen = try SourceDocument(choosing: platform ?? .host, below: top, of: source)
            if platform == nil, case .index = top.content {
                progress.note("Choosing image instance \(chosen.digest)")
            }
            outgoing = try send(chosen, isTop: true)
        }
        try check(outgoing.digest)
        progress.note(
            outgoing.image == nil && MediaType.isIndex(outgoing.mediaType)
                ? "Writing manifest list to image destination" : "Writing manifest to image destination")
        try destination.put(top: outgoing, names: names)
        try outgoing.signatures?.store(outgoing.digest, isTop: true)
        return outgoing
    }

    private func check(_ digest: Digest) throws(ImageError) {
        guard let wanted = destination.traits.digest, wanted != digest else { return }
        throw ImageError(
            .configuration, "copy to \(destination.name)",
            "the image has the digest \(digest): copy it to a tag")
    }

    // MARK: Indexes

    private func copy(
        _ index: ImageIndex, _ type: String, _ document: SourceDocument
    ) throws -> OutgoingManifest {
        var index = index
        let before = index
        let target = try format(of: MediaType.dockerIndex == type ? .v2s2 : .oci, hasNewZstd: false)
        guard destination.traits.holdsIndexes else {
            throw ImageError(
                .unsupported, "copy to \(destination.name)",
                "it holds no image lists: copy one of its images, without --all")
        }
        if selection == .indexOnly { try trust.admit(document, of: source) }
        let signatures = try SignaturesOnTheWay(
            form.signing, of: document, from: source, trust: trust, to: destination)
        if selection == .all {
            progress.note("Getting image list signatures")
            let count = index.manifests.count
            progress.note("Copying \(count) of \(count) images in list")
            for position in index.manifests.indices {
                let member = index.manifests[position]
                var copy = self
                copy.source = try source.member(member)
                let next = try SourceDocument(member, above: document, of: copy.source)
                progress.note("Copying image \(next.digest) (\(position + 1)/\(count))")
                let sent: OutgoingManifest
                if case .index(let inner, let innerType) = next.content {
                    sent = try copy.copy(inner, innerType, next)
                } else {
                    sent = try copy.send(next, isTop: false)
                }
                try destination.put(instance: sent)
                try sent.signatures?.store(sent.digest, isTop: false)
                guard sent.digest != next.digest else { continue }
                index.manifests[position].digest = "\(sent.digest)"
                index.manifests[position].size = Int64(sent.bytes.count)
                index.manifests[position].mediaType = sent.mediaType
            }
        }
        let isDocker = type == MediaType.dockerIndex
        if isDocker != (target == .v2s2) {
            index.mediaType = target == .v2s2 ? MediaType.dockerIndex : MediaType.ociIndex
            if target == .v2s2 {
                index.annotations = [:]
                index.subject = nil
                index.artifactType = nil
            }
        }
        guard index != before else {
            return OutgoingManifest(
                bytes: document.bytes, digest: document.digest, mediaType: type, signatures: signatures)
        }
        try refuseChange("its list")
        try signatures.refuseChange()
        let bytes = index.json.bytes()
        return OutgoingManifest(
            bytes: bytes, digest: Digest.sha256(of: bytes), mediaType: index.mediaType ?? type,
            signatures: signatures)
    }

    // MARK: Images

    private func send(_ document: SourceDocument, isTop: Bool) throws -> OutgoingManifest {
        guard case .manifest(let original, let type) = document.content else { preconditionFailure() }
        progress.note("Getting image source signatures")
        try trust.admit(document, of: source)
        let signatures = try SignaturesOnTheWay(
            form.signing, of: document, from: source, trust: trust, to: destination)
        let config = try SourceConfig(original, of: source)
        let layers = try plans(original, config)
        let own: ManifestFormat = type == MediaType.dockerManifest ? .v2s2 : .oci
        let hasNewZstd = layers.contains { $0.form.isZstd }
        let target = try format(of: own, hasNewZstd: hasNewZstd)
        if target == .v2s2, hasNewZstd { throw ManifestConversion.noZstd }
        if layers.contains(where: { $0.form != .asIs }) { try refuseChange("a layer") }
        if target != own { try refuseChange("its manifest") }
        let isExact = target == own && layers.allSatisfy { $0.form == .asIs }
        if !isExact { try signatures.refuseChange() }
        if isExact, isTop { try check(document.digest) }
        if isExact, try destination.has(document.digest) {
            for layer in layers { progress.layer(layer.digest, .reused) }
            return OutgoingManifest(
                bytes: document.bytes, digest: document.digest, mediaType: type,
                artifactType: original.artifactType, signatures: signatures)
        }
        let outgoing = try put(layers)
        var manifest = original
        for (position, plan) in layers.enumerated() {
            guard let type = plan.form.mediaType else { continue }
            let blob = outgoing[position]
            manifest.layers[position] = ContentDescriptor(
                mediaType: type, digest: "\(blob.digest)", size: blob.size, annotations: blob.annotations)
        }
        progress.note("Copying config \(config.digest.short) done")
        try destination.put(config: config.blob)

        if manifest.layers != original.layers || target != own {
            try ManifestConversion.convert(&manifest, from: own, to: target)
        }
        var result = OutgoingManifest(
            bytes: document.bytes, digest: document.digest, mediaType: type,
            artifactType: manifest.artifactType, signatures: signatures)
        if manifest != original {
            result.bytes = manifest.json.bytes()
            result.digest = Digest.sha256(of: result.bytes)
            result.mediaType = target == .v2s2 ? MediaType.dockerManifest : MediaType.ociManifest
        }
        result.image = config.image.map { image in
            OutgoingManifest.Image(
                config: image, configDigest: config.digest, configBytes: config.bytes ?? [],
                layers: outgoing)
        }
        return result
    }

    /// - Throws: `configuration` when the digests were to stay.
    private func refuseChange(_ what: String) throws(ImageError) {
        guard form.preservesDigests else { return }
        throw ImageError(
            .configuration, "copy to \(destination.name)",
            "\(what) would have to change for this destination, and --preserve-digests forbids it")
    }

    /// The manifest's family at the destination.
    private func format(of own: ManifestFormat, hasNewZstd: Bool) throws(ImageError) -> ManifestFormat {
        let held = destination.traits.formats
        if let asked = form.format {
            guard held.contains(asked) else {
                throw ImageError(
                    .configuration, "copy to \(destination.name)",
                    "it holds no \(asked.rawValue) manifest: leave --format out")
            }
            return asked
        }
        // Docker's schema knows no zstd: such an image becomes an OCI one.
        if hasNewZstd, held.contains(.oci) { return .oci }
        return held.contains(own) ? own : held[0]
    }
}
