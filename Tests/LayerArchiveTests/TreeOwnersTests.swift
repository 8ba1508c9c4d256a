import LinuxSystem
import Testing

@testable import LayerArchive

@Suite struct TreeOwnersTests {
    private let mapped = TreeOwners(
        users: [.init(image: 0, disk: 100_000, count: 1000), .init(image: 1000, disk: 5, count: 1)],
        groups: [.init(image: 0, disk: 200_000, count: 10)], areNoted: false)
    private let noted = TreeOwners(
        users: [.init(image: 0, disk: 1000, count: 1)], groups: [.init(image: 0, disk: 1000, count: 1)],
        areNoted: true)

    @Test func ownersGoAndComeBack() throws {
        for (user, group) in [(0, 0), (7, 9), (1000, 3)] as [(UInt32, UInt32)] {
            let owner = try mapped.onDisk(user, group, "f")
            #expect(mapped.inImage(owner.user, owner.group, note: nil)! == (user, group))
            #expect(mapped.noted(user, group) == nil)
        }
        #expect(try mapped.onDisk(1000, 0, "f") == (5, 200_000))
        #expect(throws: SystemError("user 1001", "f", Errno(EOVERFLOW))) {
            try mapped.onDisk(1001, 0, "f")
        }
        #expect(throws: SystemError("group 10", "f", Errno(EOVERFLOW))) { try mapped.onDisk(0, 10, "f") }
        #expect(mapped.inImage(0, 200_000, note: nil) == nil)
        #expect(try TreeOwners.same.onDisk(77, 78, "f") == (77, 78))
    }

    /// The values are those of umoci's tests.
    @Test(
        arguments: [
            (992, 123, [0x08, 0xE0, 0x07, 0x10, 0x7B]),
            (0, 456, [0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x10, 0xC8, 0x03]),
            (98, 0, [0x08, 0x62, 0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]),
            (492, 218, [0x08, 0xEC, 0x03, 0x10, 0xDA, 0x01]),
        ] as [(UInt32, UInt32, [UInt8])])
    func notes(_ user: UInt32, _ group: UInt32, _ bytes: [UInt8]) throws {
        #expect(noted.noted(user, group)?.value == bytes)
        #expect(try noted.onDisk(user, group, "f") == (1000, 1000))
        #expect(noted.inImage(1000, 1000, note: bytes)! == (user, group))
        // Whoever changed the owner by hand had no right to: root it is.
        #expect(noted.inImage(5, 5, note: nil)! == (0, 0))
    }

    @Test(arguments: [[0x08], [0x18, 1], [0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], [1, 2, 3]] as [[UInt8]])
    func brokenNotesSayNothing(_ bytes: [UInt8]) {
        #expect(OwnerNote(bytes: bytes) == nil)
        #expect(noted.inImage(1000, 1000, note: bytes)! == (0, 0))
    }

    @Test func capabilitiesHoldInTheNamespace() throws {
        let plain = ExtendedAttributes.Attribute(
            "security.capability", [1, 0, 0, 2] + [UInt8](repeating: 7, count: 16))
        let made = try #require(mapped.onDisk(plain))
        #expect(made.value.count == 24 && made.value[3] == 3)
        #expect(made.value.suffix(4) == [0xA0, 0x86, 1, 0])
        #expect(mapped.inImage(made) == plain)
        #expect(TreeOwners.same.onDisk(plain) == plain && TreeOwners.same.inImage(made) == made)
        let note = ExtendedAttributes.Attribute("user.rootlesscontainers", [8, 1])
        #expect(noted.onDisk(note) == nil && noted.inImage(note) == nil && mapped.onDisk(note) == note)
    }

    /// A tree whose files belong to others is compared, and archived, as the image has it.
    @Test(.enabled(if: geteuid() == 0, "it gives files to others")) func treesAreComparedAsTheImageHasThem()
        throws
    {
        let scratch = try Scratch()
        for (name, user) in [("base", uid_t(3)), ("tree", uid_t(100_003))] {
            try File.makeDirectory("\(scratch.path)/\(name)")
            let directory = try File.open("\(scratch.path)/\(name)", O_RDONLY | O_DIRECTORY)
            for file in ["a", "b"] {
                try File.replace(file, at: directory.raw, with: [1, 2], durable: false)
                try FileMetadata.setOwner(of: file, at: directory.raw, user, user == 3 ? 4 : 200_004)
                try FileMetadata.setTimes(
                    of: file, at: directory.raw, accessed: .init(seconds: 1), modified: .init(seconds: 1))
            }
            let isBase = name == "base"
            try FileMetadata.setOwner(directory.raw, isBase ? 0 : 100_000, isBase ? 0 : 200_000)
            try FileMetadata.setTimes(
                directory.raw, accessed: .init(seconds: 1), modified: .init(seconds: 1))
        }
        let base = try File.open("\(scratch.path)/base", O_RDONLY | O_DIRECTORY)
        let tree = try File.open("\(scratch.path)/tree", O_RDONLY | O_DIRECTORY)
        let same = try TreeChanges(of: tree, since: base, owners: mapped)
        #expect(same.list.isEmpty && !same.root)
        #expect(try TreeChanges(of: tree, since: base).list.count == 2)

        try FileMetadata.setOwner(of: "b", at: tree.raw, 100_009, 200_009)
        let changes = try TreeChanges(of: tree, since: base, owners: mapped)
        #expect(changes.list.map(\.path) == [[UInt8(ascii: "b")]])
        let sink = BytesSink()
        try LayerDiff.write(changes, of: tree, to: sink, owners: mapped)
        let entry = try #require(try TarReader(BytesSource(sink.bytes)).next())
        #expect(entry.user == 9 && entry.group == 9)
        try FileMetadata.setOwner(of: "b", at: tree.raw, 0, 0)
        let foreign = try TreeChanges(of: tree, since: base, owners: mapped)
        #expect(throws: ArchiveError.self) {
            try LayerDiff.write(foreign, of: tree, to: BytesSink(), owners: mapped)
        }
    }
}
