import LinuxSystem
import Testing

@testable import LayerArchive

@Suite struct WhiteoutTests {
    func entry(_ name: String, _ writer: TarWriter, _ text: String = "") throws {
        if name.hasSuffix("/") {
            var entry = TarEntry(.directory, name)
            entry.mode = 0o755
            try writer.begin(entry)
        } else {
            try writer.add(TarEntry(.regular, name), contents: Array(text.utf8))
        }
    }

    /// Two layers, applied one upon the other as files, and each on its own
    /// and mounted as an overlay: both show the same tree.
    func compare(_ lower: [String], _ upper: [String], expected: [String]) throws {
        let scratch = try Scratch()
        let plain = try scratch.directory("plain")
        let lowerDirectory = try scratch.directory("lower")
        let upperDirectory = try scratch.directory("upper")
        let lowerTar = try tar { for name in lower { try entry(name, $0, "lower") } }
        let upperTar = try tar { for name in upper { try entry(name, $0, "upper") } }
        try apply(lowerTar, to: plain, .remove)
        try apply(upperTar, to: plain, .remove)
        try apply(lowerTar, to: lowerDirectory, .overlay)
        try apply(upperTar, to: upperDirectory, .overlay)
        try scratch.run(
            "mkdir merged; mount -t overlay overlay -o lowerdir=upper:lower merged; "
                + "(cd merged; find . -mindepth 1 | sort) > found; (cd plain; find . -mindepth 1 | sort) > foundPlain; "
                + "(cd merged; grep -r upper . | sort) > content; (cd plain; grep -r upper . | sort) > contentPlain; umount merged"
        )
        func lines(_ name: String) throws -> [String] {
            String(decoding: try scratch.bytes(name), as: UTF8.self).split(separator: "\n").map {
                String($0.dropFirst(2))
            }
        }
        #expect(try lines("found") == expected)
        #expect(try lines("foundPlain") == expected)
        #expect(try lines("content") == lines("contentPlain"))
    }

    @Test func removal() throws {
        try compare(
            ["a/", "a/x", "a/y", "b/", "b/c/", "b/c/d", "e", "f"], ["a/", "a/.wh.x", ".wh.b", ".wh.e"],
            expected: ["a", "a/y", "f"])
    }

    @Test func opaque() throws {
        try compare(
            ["a/", "a/x", "a/b/", "a/b/c", "d"], ["a/", "a/new", "a/.wh..wh..opq", "a/b/", "a/b/new"],
            expected: ["a", "a/b", "a/b/new", "a/new", "d"])
        try compare(
            ["a/", "a/x", "a/b/", "a/b/c"], ["a/", "a/.wh..wh..opq", "a/new"],
            expected: ["a", "a/new"])
    }

    @Test func removalAndNewOfTheSameName() throws {
        // In either order, with a directory: only what is new shows.
        try compare(["a/", "a/x"], [".wh.a", "a/", "a/new"], expected: ["a", "a/new"])
        try compare(["a/", "a/x"], ["a/", "a/new", ".wh.a"], expected: ["a", "a/new"])
        // And with a file.
        try compare(["a/", "a/x"], [".wh.a", "a"], expected: ["a"])
        try compare(["a/", "a/x"], ["a", ".wh.a"], expected: ["a"])
    }

    @Test func kindChanges() throws {
        try compare(["a/", "a/x", "b"], ["a", "b/", "b/y"], expected: ["a", "b", "b/y"])
    }

    @Test func rootOpaque() throws {
        // overlay does not look at the attribute on a layer's root: whoever mounts is told.
        let scratch = try Scratch()
        let root = try scratch.directory("root")
        try apply(try tar { for name in ["a/", "a/x", "b"] { try entry(name, $0) } }, to: root, .remove)
        let upper = try tar { for name in ["c", ".wh..wh..opq"] { try entry(name, $0) } }
        #expect(try apply(upper, to: root, .remove).isOpaque)
        try scratch.run("test \"$(ls -A root)\" = c")
        let layer = try scratch.directory("layer")
        #expect(try apply(upper, to: layer, .overlay).isOpaque)
        #expect(try !apply(upper, to: layer, .none).isOpaque)
    }

    @Test func plainNamesWithoutWhiteouts() throws {
        let scratch = try Scratch()
        let root = try scratch.directory("root")
        try apply(
            try tar {
                try entry(".wh.x", $0, "1")
                try entry("a/.wh..wh..opq", $0)
            }, to: root, .none)
        try scratch.run("test -f root/.wh.x -a -f root/a/.wh..wh..opq")
    }

    /// What a container did on an overlay, as a layer, gives the same tree
    /// when that layer is applied on the lower one.
    @Test func upperDirectoryAsLayer() throws {
        let scratch = try Scratch()
        let lower = try scratch.directory("lower")
        let upper = try scratch.directory("upper")
        try scratch.run("cd lower; \(everything)")
        try scratch.run(
            """
            mkdir work merged; mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged; cd merged
            rm plain/file; rm -r deep/er; mkdir deep/er; echo n > deep/er/n; echo more >> plain/nothing
            chmod 700 empty; rm -r sticky; echo f > sticky; rm ünïcode; mkdir ünïcode
            ln plain/block plain/block2; mkdir new; echo x > new/x; mv new/x new/y; setfattr -n user.q -v 1 setgid
            touch -d '2011-11-11 11:11:11.11' plain/large
            python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("new/socket")'
            """)
        let layer = BytesSink()
        try LayerDiff.write(overlayUpper: upper, to: layer)
        let again = BytesSink()
        try LayerDiff.write(overlayUpper: upper, to: again)
        #expect(layer.bytes == again.bytes)
        try scratch.run("rm merged/new/socket")
        // Directories' times: those that only lose a name are as the merged view has them.
        let wanted: [String]
        do {
            let merged = try File.open("merged", at: scratch.root.raw, O_RDONLY | O_DIRECTORY)
            wanted = try snapshot(merged.raw, directoryTimes: false)
        }
        try scratch.run("umount merged")

        let plain = try scratch.directory("plain")
        try apply(try archive(lower), to: plain, .remove)
        try apply(layer.bytes, to: plain, .remove)
        try expectSame(wanted.withoutLinkCounts, snapshot(plain.raw, directoryTimes: false).withoutLinkCounts)

        let copy = try scratch.directory("copy")
        try apply(layer.bytes, to: copy, .overlay)
        try scratch.run("mount -t overlay overlay -o lowerdir=copy:lower merged")
        do {
            let merged = try File.open("merged", at: scratch.root.raw, O_RDONLY | O_DIRECTORY)
            let found = try snapshot(merged.raw, directoryTimes: false)
            try scratch.run("umount -l merged")
            expectSame(wanted.withoutLinkCounts, found.withoutLinkCounts)
        }
        _ = lower
    }

    @Test func fileNamedLikeAWhiteout() throws {
        let scratch = try Scratch()
        let upper = try scratch.directory("upper")
        try scratch.run("touch upper/.wh.trick")
        #expect(archiveError { try LayerDiff.write(overlayUpper: upper, to: BytesSink()) } == .unsupported)
    }
}

extension [String] {
    /// Overlay gives each layer's part of a linked file its own count.
    var withoutLinkCounts: [String] {
        map { line in
            guard let range = line.ranges(of: " links ").last else { return line }
            var text = String(line[..<range.lowerBound])
            if let same = text.ranges(of: " same as ").last { text = String(text[..<same.lowerBound]) }
            return text
        }
    }
}
