import LinuxSystem
import Testing

@testable import LayerArchive

@Suite struct TreeChangesTests {
    /// APUS_PROPERTY_ROUNDS makes it more.
    private static let seeds: Range<UInt64> =
        0..<(getenv("APUS_PROPERTY_ROUNDS").flatMap { UInt64(String(cString: $0)) } ?? 12)

    /// Any tree, changed in any way: what has changed, as a layer over what was, gives what is.
    @Test(arguments: seeds) func anyChangeOfATree(_ seed: UInt64) throws {
        let scratch = try Scratch()
        let base = try scratch.directory("before")
        let tree = try scratch.directory("after")
        var random = RandomTree(base, seed: seed)
        try random.change(times: 80)
        try apply(try archive(base), to: tree)
        try expectSame(snapshot(base.raw), snapshot(tree.raw), "a copy")
        var further = RandomTree(tree, seed: seed &+ 1_000_000)
        try further.change(times: 40)

        let changes = try TreeChanges(of: tree, since: base)
        let layer = BytesSink()
        try LayerDiff.write(changes, of: tree, to: layer)
        let again = BytesSink()
        try LayerDiff.write(try TreeChanges(of: tree, since: base), of: tree, to: again)
        #expect(layer.bytes == again.bytes)
        let result = try scratch.directory("result")
        try apply(try archive(base), to: result)
        try apply(layer.bytes, to: result, .remove)
        try expectSame(snapshot(tree.raw), snapshot(result.raw), "seed \(seed)")
        // And nothing is left to tell.
        let rest = try TreeChanges(of: result, since: tree)
        #expect(rest.list.isEmpty && !rest.root)
    }

    /// The same in an overlay, whose upper directory tells the changes.
    @Test(arguments: seeds) func anyChangeInAnOverlay(_ seed: UInt64) throws {
        let scratch = try Scratch()
        let lower = try scratch.directory("lower")
        let upper = try scratch.directory("upper")
        var random = RandomTree(lower, seed: seed)
        try random.change(times: 80)
        try scratch.run(
            "mkdir work merged again; mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work,metacopy=off,redirect_dir=off merged"
        )
        defer { _ = try? scratch.shell("umount -l again merged 2>/dev/null") }
        let merged = try File.open("merged", at: scratch.root.raw, O_RDONLY | O_DIRECTORY)
        var further = RandomTree(merged, seed: seed &+ 1_000_000)
        try further.change(times: 40)
        try scratch.run("find merged -type s -delete")

        let changes = try TreeChanges(overlayUpper: upper, over: lower)
        let layer = BytesSink()
        try LayerDiff.write(changes, of: upper, to: layer)
        let copy = try scratch.directory("copy")
        try apply(layer.bytes, to: copy, .overlay)
        // overlay shows its topmost directory's root whether the layer tells of it or not.
        if !changes.root {
            let status = try FD.stat(lower.raw)
            try FileMetadata.setTimes(
                copy.raw, accessed: Timestamp(status.st_atim), modified: Timestamp(status.st_mtim))
        }
        try scratch.run("mount -t overlay overlay -o lowerdir=copy:lower again")
        let found = try File.open("again", at: scratch.root.raw, O_RDONLY | O_DIRECTORY)
        try expectSame(
            snapshot(merged.raw).withoutLinkCounts, snapshot(found.raw).withoutLinkCounts, "seed \(seed)")
        // And in a tree of its own.
        let plain = try scratch.directory("plain")
        try apply(try archive(lower), to: plain)
        try apply(layer.bytes, to: plain, .remove)
        try expectSame(
            snapshot(merged.raw).withoutLinkCounts, snapshot(plain.raw).withoutLinkCounts, "seed \(seed)")
    }

    @Test func changesAreListedWithTheirDirectories() throws {
        let scratch = try Scratch()
        let base = try scratch.directory("base")
        let tree = try scratch.directory("tree")
        try scratch.run(
            """
            mkdir -p base/etc/deep base/var/lib base/gone/below; echo a > base/etc/deep/conf; echo b > base/var/lib/x
            echo c > base/gone/below/y; ln base/var/lib/x base/twin; cp -a base/. tree
            cd tree; echo A >> etc/deep/conf; rm -r gone; mkdir new; echo n > new/file; ln var/lib/x third
            """)
        let found = try TreeChanges(of: tree, since: base).list.map {
            "\($0.kind.rawValue) \(String(decoding: $0.path, as: UTF8.self))\($0.isDirectory ? "/" : "")"
        }
        // A file that has one more name is changed under each.
        #expect(
            found == [
                "C etc/", "C etc/deep/", "C etc/deep/conf", "D gone/", "A new/", "A new/file", "A third",
                "C twin",
                "C var/", "C var/lib/", "C var/lib/x",
            ])
    }

    @Test func namesOfOneFile() throws {
        let scratch = try Scratch()
        let base = try scratch.directory("base")
        let tree = try scratch.directory("tree")
        // One that lost a name is the file that it was; one name of another became a file of its own.
        try scratch.run(
            """
            cd base; echo a > a; ln a b; echo c > c; ln c d; touch -d 2020-01-01 a c; cp -a . ../tree
            cd ../tree; rm b; cp -p c e; mv e d
            """)
        let found = try TreeChanges(of: tree, since: base).list.map {
            "\($0.kind.rawValue) \(String(decoding: $0.path, as: UTF8.self))"
        }
        #expect(found == ["D b", "C d"] || found == ["D b", "C c"])
    }

    @Test func maskedPathsAreNotLookedAt() throws {
        let scratch = try Scratch()
        let base = try scratch.directory("base")
        let tree = try scratch.directory("tree")
        try scratch.run(
            """
            mkdir -p base/data/old base/keep; echo x > base/gone; cp -a base/. tree
            cd tree; echo n > data/new; rmdir data/old; rm gone; echo n > keep/new
            """)
        let masked = try TreeChanges(of: tree, since: base, masked: [Array("data".utf8), Array("gone".utf8)])
        #expect(masked.list.map { String(decoding: $0.path, as: UTF8.self) } == ["keep", "keep/new"])
    }

    @Test func latestTimeMakesLayersTheSame() throws {
        let scratch = try Scratch()
        let empty = try scratch.directory("empty")
        func layer(_ name: String, _ time: String) throws -> [UInt8] {
            let tree = try scratch.directory(name)
            try scratch.run(
                "cd \(name); mkdir d; echo x > d/f; touch -d '1999-01-01' old; touch -d '\(time)' d/f d .")
            let sink = BytesSink()
            try LayerDiff.write(
                try TreeChanges(of: tree, since: empty), of: tree, to: sink,
                latest: Timestamp(seconds: 1_000_000_000))
            return sink.bytes
        }
        let one = try layer("one", "2020-01-01 00:00:00.1")
        #expect(try one == layer("two", "2021-02-03 00:00:00.2"))
        // What is older stays so.
        #expect(try one != layer("three", "1998-02-03"))
    }
}
