import ContainerImage
import ContainerStorage
import LayerArchive
import LinuxSystem
import OCISpec
import Testing

@Suite struct TransferTests {
    @Test(arguments: Compression.allCases) func layoutComesWhole(_ compression: Compression) throws {
        let scratch = try Scratch()
        let layout = try scratch.sampleLayout(compression: compression)
        let store = try scratch.store()
        let progress = Recorder()
        let record = try ImageTransfer(store: store, progress: progress).pull(
            .layout(path: layout.path, reference: nil))
        #expect(record.names == ["docker.io/library/sample:1"])
        #expect(record.diffIDs.count == 2)
        #expect("\(record.manifestDigest)" == layout.manifests[0].digest)
        #expect(progress.count(.done) == 2)
        #expect(try store.images().map(\.id) == [record.id])
    }

    @Test func nothingIsFetchedTwice() throws {
        let scratch = try Scratch()
        let layout = try scratch.sampleLayout()
        let store = try scratch.store()
        let source = ImageSource.layout(path: layout.path, reference: "docker.io/library/sample:1")
        let first = try ImageTransfer(store: store).pull(source)
        #expect(first.names == ["docker.io/library/sample:1"])
        // Whoever fetched a layer now would not find it.
        let manifest = try store.manifest(of: first)
        for layer in manifest.layers { try File.unlink(layout.file(layer)) }
        let progress = Recorder()
        let second = try ImageTransfer(store: store, progress: progress).pull(source)
        #expect(second.id == first.id)
        #expect(progress.count(.reused) == 2)
    }

    @Test func platforms() throws {
        let scratch = try Scratch()
        let layout = try TestLayout(scratch("layout"))
        let layer = try layout.layer(["a": "a"])
        let names = ["linux/amd64", "linux/arm64/v8", "linux/arm/v6", "linux/arm/v7", "windows/amd64"]
        var members = try names.map { try layout.image(nil, [layer], platform: Platform(parsing: $0)!) }
        members[1].platform?.variant = "v8"
        // An attestation, as BuildKit adds.
        members.insert(
            try layout.image(nil, [layer], platform: Platform(os: "unknown", architecture: "unknown")), at: 0)
        let inner = try layout.index(nil, members)
        _ = try layout.index("x.y/multi:1", [inner])
        let store = try scratch.store()
        func pull(_ platform: String?) throws -> ImageRecord {
            var options = TransferOptions()
            options.platform = platform.flatMap { Platform(parsing: $0) }
            return try ImageTransfer(store: store, options: options).pull(
                .layout(path: layout.path, reference: "x.y/multi:1"))
        }
        #expect("\(try pull("linux/arm64").manifestDigest)" == members[2].digest)
        #expect("\(try pull("linux/arm/v7").manifestDigest)" == members[4].digest)
        #expect("\(try pull("linux/arm/v8").manifestDigest)" == members[4].digest)
        #expect("\(try pull("linux/arm/v6").manifestDigest)" == members[3].digest)
        let own = try pull(nil)
        #expect("\(own.manifestDigest)" == members[Platform.host.architecture == "amd64" ? 1 : 2].digest)
        let error = #expect(throws: ImageError.self) { try pull("linux/riscv64") }
        #expect(error?.code == .unknownPlatform)
        #expect(
            error?.message
                == "the image is not there for linux/riscv64; it is for linux/amd64, linux/arm64/v8, linux/arm/v6, "
                + "linux/arm/v7, windows/amd64")
    }

    @Test func namesOfLayouts() throws {
        let scratch = try Scratch()
        let layout = try TestLayout(scratch("layout"))
        let image = try layout.image("v1", [try layout.layer(["a": "a"])])
        for name in ["Not A Name", "x.y/z", "team/app:2"] { try layout.list(image, name) }
        let progress = Recorder()
        let transfer = ImageTransfer(store: try scratch.store(), progress: progress)
        let loaded = try transfer.loadLayout(directory: layout.path)
        #expect(loaded.count == 1)
        #expect(loaded[0].names == ["localhost/v1:latest", "x.y/z:latest", "localhost/team/app:2"])
        #expect(loaded[0].record.names == loaded[0].names.sorted())
        #expect(progress.warnings.count == 1)
        // A mere tag names nothing unless it was asked for.
        let other = try TestLayout(scratch("other"))
        try other.image("v1", [])
        #expect(try transfer.pull(.layout(path: other.path, reference: nil)).names == [])
        #expect(
            try transfer.pull(.layout(path: other.path, reference: "v1")).names == ["localhost/v1:latest"])
        let error = #expect(throws: ImageError.self) {
            try transfer.pull(.layout(path: other.path, reference: "v2"))
        }
        #expect(error?.description == "read oci:\(other.path):v2: the layout has no image \"v2\"; it has v1")
    }

    @Test func fullDisk() throws {
        let scratch = try Scratch()
        let layout = try TestLayout(scratch("layout"))
        try layout.image(
            "x.y/z:1",
            [
                try layout.layer(["a": "a"]),
                try layout.layer(["big": String(repeating: "0123456789abcdef", count: 1 << 20)], .none),
            ])
        try File.makeDirectories(scratch("store"))
        try scratch.run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", scratch("store"))
        defer { _ = try? scratch.run("umount", "-l", scratch("store")) }
        let store = try Store.open(root: scratch("store"), runRoot: scratch("run"), driver: "vfs")
        let error = #expect(throws: ImageError.self) {
            try ImageTransfer(store: store).pull(.layout(path: layout.path, reference: nil))
        }
        #expect(error?.code == .storage)
        #expect(error?.description.contains("no space left on device") == true, "\(error?.description ?? "")")
        #expect(store.leftovers == [])
    }

    @Test func importedRootfsMakesAnImage() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        try File.makeDirectories(scratch("root/etc"))
        try scratch.write("root/etc/issue", Array("mine\n".utf8))
        try scratch.run("tar", "-C", scratch("root"), "-czf", scratch("root.tgz"), ".")
        let record = try ImageTransfer(store: store).importRootfs(
            File.open(scratch("root.tgz")), source: "root.tgz", name: "mine:1",
            changes: [ConfigChange(parsing: "CMD [\"/bin/sh\"]"), ConfigChange(parsing: "ENV A=b")],
            message: "hello")
        #expect(record.names == ["localhost/mine:1"])
        let config = try store.config(of: record)
        #expect(config.config.cmd == ["/bin/sh"])
        #expect(config.config.env == ["A=b"])
        #expect(config.history.first?.comment == "hello")
        #expect(config.created?.hasSuffix("Z") == true && config.created?.count == 30)
        #expect(try store.manifest(of: record).layers[0].mediaType == MediaType.ociLayerGzip)
    }

    @Test func garbageIsNotImported() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        try scratch.write("garbage", Array(repeating: 7, count: 4096))
        let error = #expect(throws: ImageError.self) {
            try ImageTransfer(store: store).importRootfs(
                File.open(scratch("garbage")), source: "garbage", name: "x")
        }
        #expect(error?.code == .malformed)
        #expect(store.leftovers == [])
    }

    @Test(arguments: [SaveFormat.dockerArchive, .ociArchive, .ociDirectory])
    func savedImagesLoadAgain(_ format: SaveFormat) throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        let layout = try scratch.sampleLayout()
        let record = try ImageTransfer(store: store).pull(.layout(path: layout.path, reference: nil))
        try store.tag(record.id, "docker.io/library/sample:1")
        try store.tag(record.id, "localhost/other:2")
        let names = try ["sample:1", "localhost/other:2"].map { try ImageReference(parsing: $0) }
        let output = scratch("saved")
        try ImageTransfer(store: store).save([SavedImage(record, names: names)], as: format, to: output)

        let second = try scratch.store("second")
        let images =
            format == .ociDirectory
            ? try ImageTransfer(store: second).loadLayout(directory: output)
            : try ImageTransfer(store: second).load(File.open(output), name: output)
        let loaded = images.map(\.record)
        #expect(loaded.count == 1)
        #expect(loaded.first?.id == record.id)
        #expect(loaded.first?.diffIDs == record.diffIDs)
        #expect(loaded.first?.names == ["docker.io/library/sample:1", "localhost/other:2"])
        if format != .dockerArchive { #expect(loaded.first?.manifestDigest == record.manifestDigest) }
        #expect(try File.names(in: scratch.path).contains { $0.hasSuffix(".tmp") } == false)
    }

    @Test func severalImagesInOneArchive() throws {
        let scratch = try Scratch()
        let layout = try scratch.sampleLayout()
        let layer = try layout.layer(["only": "here"])
        try layout.image("x.y/second:2", [layer])
        let store = try scratch.store()
        let records = try ImageTransfer(store: store).loadLayout(directory: layout.path).map(\.record)
        #expect(records.count == 2)
        let images = try records.map {
            SavedImage(
                $0, names: try $0.names.map { name throws(ImageError) in try ImageReference(parsing: name) })
        }
        for format in [SaveFormat.dockerArchive, .ociArchive] {
            let path = scratch(format.rawValue)
            try ImageTransfer(store: store).save(images, as: format, to: path)
            let second = try scratch.store("store-\(format.rawValue)")
            let loaded = try ImageTransfer(store: second).load(File.open(path), name: path)
            #expect(loaded.map(\.record.id) == records.map(\.id))
            let source: ImageSource =
                format == .dockerArchive
                ? .dockerArchive(path: path, reference: "x.y/second:2")
                : .layoutArchive(path: path, reference: "x.y/second:2")
            #expect(
                try ImageTransfer(store: try scratch.store("third-\(format.rawValue)")).pull(source).id
                    == records[1].id)
            let unnamed: ImageSource =
                format == .dockerArchive
                ? .dockerArchive(path: path, reference: nil) : .layoutArchive(path: path, reference: nil)
            let error = #expect(throws: ImageError.self) { try ImageTransfer(store: second).pull(unnamed) }
            #expect(error?.message.contains("x.y/second:2") == true)
        }
    }

    @Test(arguments: ["gzip", "zstd", "bzip2", "xz"]) func compressedStreams(_ program: String) throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        let record = try ImageTransfer(store: store).pull(
            .layout(path: try scratch.sampleLayout().path, reference: nil))
        try ImageTransfer(store: store).save(
            [SavedImage(record, names: [try ImageReference(parsing: "a/b:c")])], as: .dockerArchive,
            to: scratch("a.tar"))
        try scratch.run("sh", "-c", "\(program) -c < \(scratch("a.tar")) > \(scratch("a.packed"))")
        let second = try scratch.store("second")
        let pipe = try FD.pipe()
        let pid = try Spawn.start(
            "cat", ["cat", scratch("a.packed")], descriptors: [nil, pipe.writing.raw, nil])
        let reading = try pipe.reading.duplicate()
        // Our writing end too, or the stream would never end.
        _ = consume pipe
        let loaded = try ImageTransfer(store: second).load(reading, name: "stdin")
        _ = try Spawn.wait(pid)
        #expect(loaded.map(\.record.id) == [record.id])
        #expect(loaded.first?.names == ["docker.io/a/b:c"])
        #expect(second.leftovers.filter { $0.hasPrefix("ingest") } == [])
    }

    /// No manifest has a type for such layers: they are kept plain.
    @Test func bzip2Tarballs() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        let sink = BytesSink()
        let tar = TarWriter(sink)
        try tar.add(TarEntry(.regular, "a"), contents: Array("a".utf8))
        try tar.finish()
        try scratch.write("rootfs.tar.bz2", bzip2(sink.bytes))
        let record = try ImageTransfer(store: store).importRootfs(
            File.open(scratch("rootfs.tar.bz2")), source: "x", name: "made:1")
        #expect(record.diffIDs == [.sha256(of: sink.bytes)])
        #expect(try store.manifest(of: record).layers[0].mediaType == MediaType.ociLayer)

        let directory = scratch("archive")
        try File.makeDirectories(directory)
        try scratch.run(
            "sh", "-c",
            """
            cd \(directory); cp \(scratch("rootfs.tar.bz2")) layer.tar
            echo '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["\(record.diffIDs[0])"]}}' >c.json
            echo '[{"Config":"c.json","RepoTags":["b:1"],"Layers":["layer.tar"]}]' >manifest.json
            tar -cf \(scratch("docker.tar")) *
            """)
        let second = try scratch.store("second")
        let loaded = try ImageTransfer(store: second).load(
            File.open(scratch("docker.tar")), name: "docker.tar")
        #expect(loaded.map(\.record.diffIDs) == [record.diffIDs])
        #expect(try second.manifest(of: loaded[0].record).layers[0].mediaType == MediaType.ociLayer)
    }
}
