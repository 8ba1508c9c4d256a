import ContainerStorage
import LayerArchive
import LinuxSystem
import OCISpec
import Testing

/// A container's files belong to the users of its user namespace.
@Suite(.enabled(if: geteuid() == 0, "needs root")) struct OwnerMapTests {
    private let scratch: Scratch
    private static let mapping = [IDMapping(containerID: 0, hostID: 200_000, size: 65_536)]

    init() throws { scratch = try Scratch() }

    private func image(_ store: Store) throws -> ImageRecord {
        let below = try TestLayer { writer in
            var tool = TarEntry(.regular, "tool")
            tool.mode = 0o4755
            tool.user = 7
            tool.group = 8
            tool.attributes = [
                .init("security.capability", [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            ]
            try writer.add(tool, contents: [1])
            var link = TarEntry(.hardLink, "tool2")
            link.linkTarget = Array("tool".utf8)
            try writer.add(link)
            try writer.add(TarEntry(.directory, "dir"))
            try writer.add(TarEntry(.regular, "dir/gone"), contents: [1])
        }
        return try TestImage([below, try TestLayer(["dir/more": "1"])]).put(store)
    }

    /// A user namespace that only this descriptor holds.
    private func namespace() throws -> Descriptor {
        let ready = try FD.pipe()
        let child = try Spawn.start(
            "unshare", ["unshare", "-U", "sh", "-c", "echo; exec sleep 20"],
            descriptors: [nil, ready.writing.raw, nil])
        var byte: UInt8 = 0
        _ = try retrying("read") { read(ready.reading.raw, &byte, 1) }
        for file in ["uid_map", "gid_map"] {
            try File.write("0 200000 65536\n", to: "/proc/\(child)/\(file)")
        }
        let namespace = try File.open("/proc/\(child)/ns/user")
        kill(child, SIGKILL)
        _ = try Spawn.wait(child)
        return namespace
    }

    private func expectOwners(_ root: String) throws {
        let tool = try File.status(root + "/tool")
        #expect(tool.st_uid == 200_007 && tool.st_gid == 200_008)
        #expect(tool.st_mode & 0o7777 == 0o4755)
        #expect(try File.status(root + "/tool2").st_ino == tool.st_ino)
        #expect(try File.status(root + "/dir").st_uid == 200_000)
        #expect(try File.status(root).st_uid == 200_000)
    }

    @Test(arguments: TestDrivers.all) func filesAreTheMappedUsers(_ driver: String) throws {
        let store = try scratch.open(driver: driver)
        let image = try image(store)
        try store.createSnapshot(id: "c", image: image)
        let namespace = try namespace()
        let owners = OwnerMap(users: Self.mapping, groups: Self.mapping, namespace: namespace.raw)
        let root = try store.mountSnapshot("c", owners: owners)
        #expect(try store.mountSnapshot("c", owners: owners) == root)
        try expectOwners(root)
        // As a process of the container would: the kernel notes its user, and whiteouts and copies work.
        try OwnerMap.asRoot(200_000, 200_000) { () throws(SystemError) in
            try File.makeDirectory(root + "/made", mode: 0o700)
            try File.unlink(root + "/dir/gone")
            try File.replace(root + "/dir/more", with: [2])
            chmod(root + "/tool", 0o711)
        }
        #expect(try File.status(root + "/made").st_uid == 200_000)
        #expect(try File.names(in: root + "/dir") == ["more"])
        try store.unmountSnapshot("c")
        #expect(scratch.mounts == [])
        // On the disk it is the container's own number, but where the kernel maps no owners.
        let isShifted = File.exists("\(store.root)/\(driver)/snapshots/c/shifted")
        if !isShifted, let changes = try? store.openChanges("c") {
            #expect(try File.status("made", at: changes.raw).st_uid == 0)
        }
        let again = try store.mountSnapshot("c", owners: owners)
        #expect(try File.status(again + "/made").st_uid == 200_000)
        #expect(try File.status(again + "/tool").st_uid == 200_007)
        try store.removeSnapshot("c")
        #expect(scratch.mounts == [])
        try store.removeImage(image.id)
        #expect(store.content == [])
    }

    /// overlay itself takes no mapping, so a store on it must change owners.
    @Test func withoutMappedMountsTheCopiesChangeTheirOwners() throws {
        for name in ["lower", "upper", "work", "store"] { try File.makeDirectory(scratch.path + "/" + name) }
        try OverlayMount(
            lower: [scratch.path + "/lower"], upper: scratch.path + "/upper", work: scratch.path + "/work"
        ).attach(to: scratch.root)
        let store = try scratch.open(driver: "vfs")
        let image = try image(store)
        try store.createSnapshot(id: "c", image: image)
        let namespace = try namespace()
        let owners = OwnerMap(users: Self.mapping, groups: Self.mapping, namespace: namespace.raw)
        let root = try store.mountSnapshot("c", owners: owners)
        try expectOwners(root)
        let tool = try File.open(root + "/tool")
        let capability = try #require(
            try ExtendedAttributes.value(tool.raw, Array("security.capability".utf8)))
        #expect(capability.count == 24 && Array(capability[20...]) == [0x40, 0x0D, 0x03, 0])
        // Once only, and anew when it was cut short.
        try expectOwners(try store.mountSnapshot("c", owners: owners))
        let snapshot = scratch.root + "/vfs/snapshots/c"
        try File.rename(snapshot + "/shifted", to: snapshot + "/shifting")
        try expectOwners(try store.mountSnapshot("c", owners: owners))
        #expect(File.exists(snapshot + "/shifted") && !File.exists(snapshot + "/shifting"))
        try store.removeSnapshot("c")
    }
}
