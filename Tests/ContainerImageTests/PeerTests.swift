import ContainerImage
import ContainerStorage
import LayerArchive
import LinuxSystem
import OCISpec
import Testing

/// Archives between us and the other tools, both ways.
@Suite(.serialized) struct PeerTests {
    private func podman(_ scratch: Scratch, _ arguments: String) throws -> String {
        try scratch.write(
            "containers.conf",
            Array("[containers]\ndefault_ulimits = [\"nofile=1024:1024\",\"nproc=4096:4096\"]\n".utf8))
        return try scratch.run(
            "sh", "-c",
            "CONTAINERS_CONF=\(scratch("containers.conf")) podman --root \(scratch("podman")) "
                + "--runroot \(scratch("podman.run")) --storage-driver vfs \(arguments) 2>&1")
    }

    @Test(arguments: [SaveFormat.dockerArchive, .ociArchive]) func podmanReadsOurs(_ format: SaveFormat)
        throws
    {
        let scratch = try Scratch()
        let store = try scratch.store()
        let record = try ImageTransfer(store: store).pull(
            .layout(path: try scratch.sampleLayout().path, reference: nil))
        try ImageTransfer(store: store).save(
            [SavedImage(record, names: [try ImageReference(parsing: "quay.io/ours/x:1")])], as: format,
            to: scratch("ours.tar"))
        _ = try podman(scratch, "load -i \(scratch("ours.tar"))")
        #expect(try podman(scratch, "images --no-trunc").contains(record.id.hex))
        let output = try podman(scratch, "image inspect --format '{{.RepoTags}}' \(record.id.hex)")
        #expect(output.contains("quay.io/ours/x:1"))

        // And what podman makes of it comes back.
        for theirs in ["docker-archive", "oci-archive"] {
            _ = try podman(scratch, "save --format \(theirs) -o \(scratch(theirs)) quay.io/ours/x:1")
            let back = try ImageTransfer(store: try scratch.store("store-\(theirs)")).load(
                File.open(scratch(theirs)), name: theirs)
            #expect(back.first?.record.diffIDs == record.diffIDs)
            #expect(back.first?.names == ["quay.io/ours/x:1"])
        }
    }

    @Test func umociLayout() throws {
        let scratch = try Scratch()
        try scratch.run("umoci", "init", "--layout", scratch("u"))
        try scratch.run("umoci", "new", "--image", scratch("u") + ":base")
        try File.makeDirectories(scratch("files/deep"))
        try scratch.write("files/deep/file", Array("x".utf8))
        try scratch.run("umoci", "insert", "--image", scratch("u") + ":base", scratch("files"), "/srv")
        try scratch.run("umoci", "config", "--image", scratch("u") + ":base", "--config.cmd", "/srv/run")
        let record = try ImageTransfer(store: try scratch.store()).pull(
            ImageSource(parsing: "oci:\(scratch("u")):base"))
        #expect(record.names == ["localhost/base:latest"])
        #expect(record.diffIDs.count == 1)
    }

    @Test(arguments: ["docker-archive", "oci-archive", "dir"]) func skopeoTransports(_ transport: String)
        throws
    {
        let scratch = try Scratch()
        let layout = try scratch.sampleLayout()
        let suffix = transport == "dir" ? "" : ":docker.io/library/sample:1"
        try scratch.run("skopeo", "copy", "oci:\(layout.path)", "\(transport):\(scratch("there"))\(suffix)")
        let record = try ImageTransfer(store: try scratch.store()).pull(
            ImageSource(parsing: "\(transport):\(scratch("there"))"))
        #expect(record.diffIDs.count == 2)
        #expect(record.names == (transport == "dir" ? [] : ["docker.io/library/sample:1"]))
    }
}
