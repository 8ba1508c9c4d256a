import ContainerImage
import ContainerStorage
import JSONText
import LayerArchive
import LinuxSystem
import OCISpec
import Testing

@Suite(.serialized) struct ManifestListTests {
    @Test func madeAndPushed() throws {
        let scratch = try Scratch()
        let registry = try RegistryFixture(scratch)
        let layout = try TestLayout(scratch("layout"))
        let layer = try layout.layer(["a": "b"])
        for name in ["amd64", "arm64"] {
            try layout.image(
                name, [layer, layout.layer([name: name])], platform: Platform(architecture: name))
        }
        let store = try scratch.store()
        var options = TransferOptions()
        try scratch.write("registries.conf", [])
        options.registriesConfig = scratch("registries.conf")
        options.stores = LocalStores(
            open: { _ in store },
            find: { _, name in
                let id = name.hasPrefix("sha256:") ? try store.image(idPrefix: name) : nil
                return (store, try #require(id ?? (try store.image(named: "localhost/\(name)"))))
            })
        let record = try ImageTransfer(store: store, options: options)
            .pull(.layout(path: layout.path, reference: "amd64"))
        try store.tag(record.id, "localhost/here:1")
        var arm = options
        arm.platform = Platform(architecture: "arm64")
        let lists = try ManifestLists(store: store, options: arm)

        let list = try lists.create("mine:1", amends: false)
        #expect(throws: ImageError.self) { try lists.create("mine:1", amends: false) }
        #expect(try lists.create("mine:1", amends: true).id == list.id)
        // One from the store, one from another place.
        _ = try lists.add("here:1", to: list, all: false, change: .init())
        var change = ManifestList.Change()
        change.variant = "v8"
        change.annotations = ["k": "v"]
        let both = try lists.add("oci:\(layout.path):arm64", to: list, all: false, change: change)
        #expect(both.index.manifests.map { $0.platform?.description } == ["linux/amd64", "linux/arm64/v8"])
        #expect(both.index.manifests[1].annotations == ["k": "v"])
        // The same once more changes it and adds nothing.
        #expect(try lists.add("here:1", to: list, all: false, change: .init()).index.manifests.count == 2)

        let target = try ImageSource(parsing: "docker://\(registry.host)/list:1")
        let digest = try lists.push(lists.require("mine:1"), to: target, all: true, form: PushForm())
        let raw = try ImageInspection(target, options: options).rawManifest
        #expect(Digest.sha256(of: raw) == digest)
        for architecture in ["amd64", "arm64"] {
            try scratch.run(
                "skopeo", "--override-arch", architecture, "copy", "--src-tls-verify=false",
                "docker://\(registry.host)/list:1",
                "dir:\(scratch("dir-\(architecture)"))")
        }
        // A list of a registry's list.
        let second = try lists.create("second", amends: false)
        let all = try lists.add("docker://\(registry.host)/list:1", to: second, all: true, change: .init())
        #expect(all.index.manifests.map(\.digest) == both.index.manifests.map(\.digest))
        let first = try lists.remove(both.index.manifests[0].digest, from: second)
        #expect(first.index.manifests.count == 1)
        #expect(throws: ImageError.self) { try lists.remove(both.index.manifests[0].digest, from: second) }
        _ = try lists.remove("second")
        #expect(try lists.find("second") == nil)
        #expect(try lists.find(list.id)?.name == "localhost/mine:1")
    }
}
