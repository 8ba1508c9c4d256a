import ContainerStorage
import LayerArchive
import LinuxSystem
import Testing

/// All that a layer can say of files is to be seen through each driver: its
/// trees give the same archive, byte by byte.
@Suite struct ExactTreeTests {
    private static func base() throws -> TestLayer {
        try TestLayer { writer in
            func add(
                _ kind: TarEntry.Kind, _ name: String, _ contents: [UInt8] = [],
                _ change: (inout TarEntry) -> Void = { _ in }
            )
                throws
            {
                var entry = TarEntry(kind, name)
                entry.modified = Timestamp(
                    seconds: 1_600_000_000 + Int64(name.utf8.count), nanoseconds: 123_456_789)
                change(&entry)
                try writer.add(entry, contents: contents)
            }
            try add(.directory, "./") { $0.mode = 0o755 }
            try add(.directory, "etc/") {
                $0.mode = 0o2750
                $0.group = 3_000_000
            }
            try add(.regular, "etc/empty")
            try add(.regular, "etc/passwd", Array("root:x:0:0".utf8)) { $0.user = 3_000_000_000 }
            try add(.regular, "etc/copy", Array("root:x:0:0".utf8))
            try add(.regular, "etc/old", [1]) { $0.modified = Timestamp(seconds: -5, nanoseconds: 7) }
            try add(.regular, "su", noise(300_000)) { $0.mode = 0o6755 }
            try add(.hardLink, "su2") { $0.linkTarget = Array("su".utf8) }
            try add(.regular, "ping", [2]) {
                $0.attributes = [
                    .init(
                        "security.capability", [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
                    .init("user.long", [UInt8](repeating: 0x61, count: 3500)),
                    .init("user.empty", []),
                ]
            }
            try add(.directory, "marked/") {
                $0.attributes = [.init("user.a", [0, 1]), .init("trusted.b", [2])]
            }
            try add(.characterDevice, "null") {
                $0.deviceMajor = 1
                $0.deviceMinor = 300
            }
            try add(.blockDevice, "disk") {
                $0.deviceMajor = 259
                $0.deviceMinor = 70_000
            }
            try add(.fifo, "pipe") { $0.mode = 0o622 }
            try add(.symbolicLink, "short") { $0.linkTarget = Array("etc/passwd".utf8) }
            try add(.symbolicLink, "long") { $0.linkTarget = [UInt8](repeating: 0x78, count: 4095) }
            try add(.directory, "many/")
            for number in 0..<1500 {
                try add(.regular, "many/a file with number \(number)", Array("\(number % 700)".utf8))
            }
            try add(.directory, "names/")
            for byte in [0x01, 0x20, 0x7F, 0xC3, 0xFF] as [UInt8] {
                var entry = TarEntry(.regular, Array("names/".utf8) + [UInt8](repeating: byte, count: 255))
                entry.modified = Timestamp(seconds: 9)
                try writer.add(entry, contents: [byte])
            }
            var deep = ""
            for _ in 0..<150 {
                deep += "d/"
                try add(.directory, deep)
            }
            try add(.regular, deep + "file", [3])
        }
    }

    private static func upper() throws -> TestLayer {
        try TestLayer { writer in
            try writer.add(TarEntry(.regular, "many/.wh.a file with number 3"))
            try writer.add(TarEntry(.regular, "marked/new"), contents: [4])
            try writer.add(TarEntry(.regular, "etc/.wh..wh..opq"))
            try writer.add(TarEntry(.regular, "etc/only"), contents: [5])
            // Without an entry a directory's time is that of the unpacking, where trees are whole.
            for name in ["./", "many/", "marked/", "etc/"] {
                var entry = TarEntry(.directory, name)
                entry.mode = 0o711
                entry.modified = Timestamp(seconds: 77)
                try writer.add(entry)
            }
            var again = TarEntry(.regular, "su")
            again.mode = 0o711
            try writer.add(again, contents: Array("root:x:0:0".utf8))
        }
    }

    private func archive(_ driver: String, _ layers: [TestLayer]) throws -> Digest {
        let scratch = try Scratch()
        let store = try scratch.open(driver: driver)
        let image = try TestImage(layers).put(store)
        try store.createSnapshot(id: "c", image: image)
        let root = try File.open(try store.mountSnapshot("c"), O_RDONLY | O_DIRECTORY)
        let sink = BytesSink()
        try LayerDiff.write(tree: root, to: sink)
        let seen = BytesSink()
        try LayerDiff.write(tree: try store.openView(image.diffIDs), to: seen, includesRoot: false)
        #expect(seen.bytes.count > 300_000)
        return Digest.sha256(of: sink.bytes)
    }

    @Test func allDriversShowTheSame() throws {
        let one = try Self.base()
        let two = try Self.upper()
        let expected = try (archive("vfs", [one]), archive("vfs", [one, two]))
        #expect(expected.0 != expected.1)
        for driver in TestDrivers.all where driver != "vfs" {
            #expect(try archive(driver, [one]) == expected.0, "\(driver)")
            #expect(try archive(driver, [one, two]) == expected.1, "\(driver)")
        }
    }
}
