import ContainerImage
import ContainerStorage
import LayerArchive
import LinuxSystem
import OCISpec
import Testing

/// Against Debian's docker-registry, read by skopeo and by ourselves.
@Suite(.serialized) struct PushTests {
    private func transfer(_ scratch: Scratch, _ store: Store, _ progress: any TransferProgress = Recorder())
        throws -> ImageTransfer
    {
        var options = TransferOptions()
        options.registriesConfig = scratch("registries.conf")
        try scratch.write("registries.conf", [])
        return ImageTransfer(store: store, options: options, progress: progress)
    }

    @Test func exactOnceAndMounted() throws {
        let scratch = try Scratch()
        let registry = try RegistryFixture(scratch)
        let layout = try scratch.sampleLayout()
        let store = try scratch.store()
        let record = try transfer(scratch, store).pull(ImageSource(parsing: "oci:\(layout.path)"))
        func push(_ name: String) throws -> Recorder {
            let recorder = Recorder()
            let digest = try transfer(scratch, store, recorder)
                .push(record, to: ImageSource(parsing: "\(registry.host)/\(name)"))
            #expect(digest == record.manifestDigest)
            return recorder
        }
        #expect(try push("first:1").count(.done) == 2)
        #expect(try push("first:1").count(.reused) == 2)
        #expect(try push("first:2").count(.reused) == 2)
        // Another repository takes the layers over.
        #expect(try push("second/deep:1").count(.reused) == 2)
        let known = try store.image(id: record.id)?.repoDigests ?? []
        for name in ["first", "second/deep"] {
            #expect(known.contains("\(registry.host)/\(name)@\(record.manifestDigest)"))
        }
        let again = try transfer(scratch, try scratch.store("again"))
            .pull(ImageSource(parsing: "\(registry.host)/second/deep@\(record.manifestDigest)"))
        #expect(again.id == record.id)
        #expect(again.manifestDigest == record.manifestDigest)
        try scratch.run(
            "skopeo", "copy", "--src-tls-verify=false", "docker://\(registry.host)/first:2",
            "dir:\(scratch("dir"))")
    }

    @Test(arguments: [
        PushForm(), PushForm(format: .v2s2), PushForm(compression: .zstd),
        PushForm(format: .v2s2, compression: .gzip), PushForm(format: .oci, compression: .zstd),
    ])
    func plainLayersAreCompressed(_ form: PushForm) throws {
        let scratch = try Scratch()
        let registry = try RegistryFixture(scratch)
        let layout = try scratch.sampleLayout(compression: .none)
        let store = try scratch.store()
        let record = try transfer(scratch, store).pull(ImageSource(parsing: "oci:\(layout.path)"))
        for place in [
            "docker://\(registry.host)/a:1", "oci:\(scratch("out")):v1",
            "oci-archive:\(scratch("out.tar")):v1",
        ] {
            if form.format == .v2s2, place.hasPrefix("oci") { continue }
            let destination = try ImageSource(parsing: place)
            let digest = try transfer(scratch, store).push(record, to: destination, form: form)
            #expect(try transfer(scratch, store).push(record, to: destination, form: form) == digest)
            let second = try scratch.store("second-\(place.prefix(6).count)-\(place.utf8.count)")
            let back = try transfer(scratch, second).pull(destination)
            #expect(back.manifestDigest == digest)
            #expect(back.diffIDs == record.diffIDs)
            let layer = try second.manifest(of: back).layers[0].mediaType
            let zstd = form.compression == .zstd
            #expect(
                layer
                    == (form.format == .v2s2
                        ? MediaType.dockerLayerGzip : zstd ? MediaType.ociLayerZstd : MediaType.ociLayerGzip))
            try scratch.run("rm", "-rf", scratch("dir"))
            try scratch.run("skopeo", "copy", "--src-tls-verify=false", place, "dir:\(scratch("dir"))")
        }
        #expect(store.leftovers.filter { $0.hasPrefix("ingest") } == [])
    }

    @Test func directoriesAndDockerArchives() throws {
        let scratch = try Scratch()
        let layout = try scratch.sampleLayout(compression: .zstd)
        let store = try scratch.store()
        let record = try transfer(scratch, store).pull(ImageSource(parsing: "oci:\(layout.path)"))
        let directory = ImageSource.directory(path: scratch("dir"))
        #expect(try transfer(scratch, store).push(record, to: directory) == record.manifestDigest)
        let gzip = try transfer(scratch, store)
            .push(record, to: directory, form: PushForm(format: .v2s2, compression: .gzip))
        #expect(gzip != record.manifestDigest)
        // The first image has made room: version, manifest, config and two layers.
        #expect(try File.names(in: scratch("dir")).count == 5)
        let archive = try ImageSource(parsing: "docker-archive:\(scratch("d.tar")):team/sample:1")
        _ = try transfer(scratch, store).push(record, to: archive)
        for source in [directory, archive] {
            let back = try transfer(scratch, try scratch.store("back")).pull(source)
            #expect(back.id == record.id)
        }
        try scratch.run("skopeo", "inspect", "dir:\(scratch("dir"))")
        try scratch.run("skopeo", "inspect", "\(archive)")
    }

    /// The connection breaks in the middle of the first uploads.
    @Test(arguments: [1, 10]) func cutConnections(_ repetitions: Int) throws {
        let scratch = try Scratch()
        let registry = try RegistryFixture(scratch)
        let proxy = try CuttingProxy(to: registry.host, cuts: 2, after: 100_000)
        defer { proxy.stop() }
        let layout = try TestLayout(scratch("layout"))
        // What does not compress, so that it does not fit into the kernel's buffers.
        var generator = SystemRandomNumberGenerator()
        let noise = String(
            (0..<2_000_000).map { _ in
                Character(Unicode.Scalar(UInt8(33 + generator.next(upperBound: 90 as UInt64))))
            })
        // What is large goes in another way than what is small; too far apart to be compressed.
        let contents = String(repeating: noise, count: repetitions)
        try layout.image("docker.io/library/noise:1", [try layout.layer(["noise": contents])])
        let store = try scratch.store()
        let record = try transfer(scratch, store).pull(ImageSource(parsing: "oci:\(layout.path)"))
        let digest = try transfer(scratch, store)
            .push(record, to: ImageSource(parsing: "127.0.0.1:\(proxy.port)/noise:1"))
        #expect(proxy.cutsLeft == 0)
        let back = try transfer(scratch, try scratch.store("back"))
            .pull(ImageSource(parsing: "\(registry.host)/noise@\(digest)"))
        #expect(back.id == record.id)
    }

    @Test func damagedBlobsStayHere() throws {
        let scratch = try Scratch()
        let registry = try RegistryFixture(scratch)
        let layout = try scratch.sampleLayout()
        let store = try scratch.store()
        let record = try transfer(scratch, store).pull(ImageSource(parsing: "oci:\(layout.path)"))
        let layer = try store.manifest(of: record).layers[0]
        let path = "\(store.root)/blobs/sha256/\(layer.digest.dropFirst(7))"
        var bytes = try File.read(path, limit: 1 << 24)
        bytes[bytes.count / 2] ^= 1
        try File.replace(path, with: bytes, durable: false)
        let name = "\(registry.host)/broken:1"
        let error = #expect(throws: ImageError.self) {
            _ = try transfer(scratch, store).push(record, to: ImageSource(parsing: name))
        }
        #expect(error?.message.contains(layer.digest) == true, "\(error?.description ?? "")")
        try scratch.run("skopeo", "inspect", "--tls-verify=false", "docker://\(name)", expecting: 1)
    }
}
