import JSONText
import LayerArchive
import LinuxSystem

/// An image written by hand, whole or broken as a test wants it.
struct ImageBuilder {
    enum Compression: String { case none, gzip, zstd }

    struct Layer {
        var tar: [UInt8]
        var compression = Compression.gzip
    }

    var layers: [Layer] = []
    var architecture = "amd64"
    var os = "linux"
    var config: JSONObject = ["Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]]
    /// Media types of Docker's schema 2 in place of OCI's.
    var isDocker = false
    /// Changes to what is written, made before digests are taken.
    var editManifest: (inout JSONObject) -> Void = { _ in }
    var editConfig: (inout JSONObject) -> Void = { _ in }
    /// Changes to what is written, made after: bytes that no longer fit their digest.
    var damageLayer: (inout [UInt8]) -> Void = { _ in }

    init(_ layers: [UInt8]..., compression: Compression = .gzip) {
        self.layers = layers.map { Layer(tar: $0, compression: compression) }
    }

    /// Busybox's programs and one more layer.
    static func busybox(adding extra: TarBuilder = TarBuilder(), _ compression: Compression = .gzip) throws
        -> ImageBuilder
    {
        let base = try File.read(try Fixtures.busyboxTar())
        var builder = ImageBuilder(base, compression: compression)
        if !extra.bytes.isEmpty { builder.layers.append(Layer(tar: extra.archive, compression: compression)) }
        return builder
    }

    struct Blob {
        var digest: String
        var bytes: [UInt8]
        init(_ bytes: [UInt8]) {
            self.bytes = bytes
            digest = "\(Digest.sha256(of: bytes))"
        }
        func descriptor(_ mediaType: String, _ more: JSONObject = [:]) -> JSON {
            var object: JSONObject = [
                "mediaType": .string(mediaType), "digest": .string(digest),
                "size": .integer(Int64(bytes.count)),
            ]
            for member in more.members { object[member.name] = member.value }
            return .object(object)
        }
    }

    struct Built {
        var manifest: Blob
        var config: Blob
        var layers: [Blob]
        var tars: [[UInt8]]
        var manifestType: String
        var platform: JSON
    }

    func built() throws -> Built {
        var layerBlobs: [Blob] = []
        var descriptors: [JSON] = []
        for layer in layers {
            let blob: Blob
            var suffix = ""
            switch layer.compression {
            case .none: blob = Blob(layer.tar)
            case .gzip:
                blob = Blob(try Self.compressed(layer.tar, ["gzip", "-nc1"]))
                suffix = isDocker ? ".gzip" : "+gzip"
            case .zstd:
                blob = Blob(try Self.compressed(layer.tar, ["zstd", "-qc1"]))
                suffix = "+zstd"
            }
            layerBlobs.append(blob)
            descriptors.append(
                blob.descriptor(
                    (isDocker
                        ? "application/vnd.docker.image.rootfs.diff.tar"
                        : "application/vnd.oci.image.layer.v1.tar")
                        + suffix))
        }
        var document: JSONObject = [
            "architecture": .string(architecture), "os": .string(os), "config": .object(config),
            "rootfs": [
                "type": "layers",
                "diff_ids": .array(layers.map { .string("\(Digest.sha256(of: $0.tar))") }),
            ],
            "history": .array(layers.map { _ in ["created": "2024-01-01T00:00:00Z", "created_by": "test"] }),
            "created": "2024-01-01T00:00:00Z",
        ]
        editConfig(&document)
        let configBlob = Blob(JSON.object(document).bytes())
        let manifestType =
            isDocker
            ? "application/vnd.docker.distribution.manifest.v2+json"
            : "application/vnd.oci.image.manifest.v1+json"
        var manifest: JSONObject = [
            "schemaVersion": 2, "mediaType": .string(manifestType),
            "config": configBlob.descriptor(
                isDocker
                    ? "application/vnd.docker.container.image.v1+json"
                    : "application/vnd.oci.image.config.v1+json"),
            "layers": .array(descriptors),
        ]
        editManifest(&manifest)
        var damaged = layerBlobs
        for index in damaged.indices { damageLayer(&damaged[index].bytes) }
        return Built(
            manifest: Blob(JSON.object(manifest).bytes()), config: configBlob, layers: damaged,
            tars: layers.map(\.tar), manifestType: manifestType,
            platform: ["architecture": .string(architecture), "os": .string(os)])
    }

    private static func compressed(_ bytes: [UInt8], _ command: [String]) throws -> [UInt8] {
        let finished = try ProgramRun.run(
            [Programs.find(command[0]) ?? command[0]] + command.dropFirst(), input: .bytes(bytes))
        guard finished.exit == 0 else { throw Unexpected("\(finished)") }
        return finished.output
    }

    // MARK: Forms

    /// An OCI image layout of one image.
    func writeLayout(to directory: String, tag: String = "latest") throws {
        try Self.writeLayout(to: directory, [(tag, [self], false)])
    }

    /// An OCI image layout: each tag names one image, or an index of several.
    static func writeLayout(
        to directory: String, _ entries: [(tag: String, images: [ImageBuilder], isIndex: Bool)]
    ) throws {
        try File.makeDirectories("\(directory)/blobs/sha256")
        func put(_ blob: Blob) throws {
            try File.replace(
                "\(directory)/blobs/sha256/\(blob.digest.dropFirst(7))", with: blob.bytes, durable: false)
        }
        var manifests: [JSON] = []
        for entry in entries {
            let annotations: JSONObject = [
                "annotations": ["org.opencontainers.image.ref.name": .string(entry.tag)]
            ]
            var members: [JSON] = []
            for image in entry.images {
                let built = try image.built()
                try put(built.manifest)
                try put(built.config)
                for layer in built.layers { try put(layer) }
                if entry.isIndex {
                    members.append(
                        built.manifest.descriptor(built.manifestType, ["platform": built.platform]))
                } else {
                    manifests.append(built.manifest.descriptor(built.manifestType, annotations))
                }
            }
            if entry.isIndex {
                let type = "application/vnd.oci.image.index.v1+json"
                let index = Blob(
                    JSON.object([
                        "schemaVersion": 2, "mediaType": .string(type), "manifests": .array(members),
                    ]).bytes())
                try put(index)
                manifests.append(index.descriptor(type, annotations))
            }
        }
        try File.replace(
            "\(directory)/oci-layout", with: Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8), durable: false)
        try File.replace(
            "\(directory)/index.json",
            with: JSON.object(["schemaVersion": 2, "manifests": .array(manifests)]).bytes(), durable: false)
    }

    /// What `docker save` writes: plain layers, `manifest.json`.
    func dockerArchive(tags: [String]) throws -> [UInt8] {
        let built = try built()
        var tar = TarBuilder()
        let configName = "\(built.config.digest.dropFirst(7)).json"
        tar.add(configName, bytes: built.config.bytes)
        var names: [JSON] = []
        for (index, layer) in built.tars.enumerated() {
            var bytes = layer
            damageLayer(&bytes)
            tar.add("layer\(index)/", .directory)
            tar.add("layer\(index)/layer.tar", bytes: bytes)
            names.append(.string("layer\(index)/layer.tar"))
        }
        let manifest: JSON = [
            [
                "Config": .string(configName), "RepoTags": .array(tags.map { .string($0) }),
                "Layers": .array(names),
            ]
        ]
        tar.add("manifest.json", bytes: manifest.bytes())
        return tar.archive
    }
}
