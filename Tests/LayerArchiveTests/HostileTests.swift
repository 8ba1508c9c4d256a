import LinuxSystem
import Synchronization
import Testing

@testable import LayerArchive

/// Archives that nobody means well with. Each works on `root`, beside which
/// stands `outside`, which must not change.
@Suite struct HostileTests {
    /// Applies and tells the error's code; whatever happens, nothing outside the root changes.
    func refusal(
        _ whiteouts: LayerApplier.Whiteouts = .overlay, prepare: String = "true", check: String? = nil,
        options: LayerApplier.Options? = nil, _ build: (TarWriter) throws -> Void
    ) throws -> ArchiveError.Code? {
        let scratch = try Scratch()
        let root = try scratch.directory("root")
        try scratch.run("mkdir outside; echo precious > outside/file; echo top > secret; cd root; \(prepare)")
        let outside = try scratch.shell("cd .") == 0 ? try scratch.outsideSnapshot() : []
        var options = options ?? .init(whiteouts: whiteouts)
        options.whiteouts = whiteouts
        let bytes = try tar(build)
        let code = archiveError {
            try LayerApplier.apply(BytesSource(bytes), to: root, options: options)
        }
        try expectSame(outside.withoutLinkCounts, scratch.outsideSnapshot().withoutLinkCounts)
        if let check { #expect(try scratch.shell("cd root; \(check)") == 0, "\(check)") }
        return code
    }

    func file(_ name: String, _ writer: TarWriter, _ text: String = "evil") throws {
        try writer.add(TarEntry(.regular, name), contents: Array(text.utf8))
    }

    func link(_ kind: TarEntry.Kind, _ name: String, _ target: String, _ writer: TarWriter) throws {
        var entry = TarEntry(kind, name)
        entry.linkTarget = Array(target.utf8)
        try writer.begin(entry)
    }

    @Test(arguments: [
        "../outside/file", "..", "a/../../outside/file", "a/..", "/../outside/file", "./../x", "a/b/..",
    ])
    func dotDot(name: String) throws {
        #expect(try refusal { try file(name, $0) } == .unsafeEntry)
        #expect(try refusal { try $0.begin(TarEntry(.directory, name)) } == .unsafeEntry)
        #expect(try refusal { try link(.symbolicLink, name, "x", $0) } == .unsafeEntry)
    }

    @Test func absoluteNamesAreBelowTheRoot() throws {
        let code = try refusal(check: "test -f etc/evil -a -f etc/two && cmp etc/evil etc/two") {
            try file("/etc/evil", $0)
            try file("////etc//./evil", $0, "again")
            try link(.hardLink, "/etc/two", "/etc/evil", $0)
        }
        #expect(code == nil)
    }

    /// CVE-2014-6407 of docker, CVE-2020-10696 of buildah.
    @Test func symbolicLinkOnTheWayStaysInside() throws {
        // In the container, /link leads to the container's own /outside.
        let code = try refusal(check: "test -f outside/file -a -f deep/x") {
            try $0.begin(TarEntry(.directory, "outside"))
            try link(.symbolicLink, "absolute", "/outside", $0)
            try file("absolute/file", $0)
            try link(.symbolicLink, "up", "../../../../deep", $0)
            try file("up/x", $0)
        }
        #expect(code == nil)
    }

    @Test func danglingLinkOnTheWay() throws {
        let code = try refusal(check: "test -f usr/lib/a -a -f usr/lib/b -a -f x/y/c") {
            try link(.symbolicLink, "lib", "usr/lib", $0)
            try file("lib/a", $0)
            try link(.symbolicLink, "lib64", "/../usr/./lib/", $0)
            try file("lib64/b", $0)
            try $0.begin(TarEntry(.directory, "d"))
            try link(.symbolicLink, "d/up", "../x/../../x/y", $0)
            try file("d/up/c", $0)
        }
        #expect(code == nil)
    }

    @Test func linkLoop() throws {
        #expect(
            try refusal {
                try link(.symbolicLink, "a", "b", $0)
                try link(.symbolicLink, "b", "a", $0)
                try file("a/x", $0)
            } == .fileSystem)
    }

    /// CVE-2021-32760 of containerd.
    @Test func lastComponentIsReplaced() throws {
        let code = try refusal(
            prepare:
                "ln -s ../outside/file direct; ln -s /etc abs; ln ../secret shared; ln -s ../outside dir",
            check: "test ! -L direct -a -f direct -a -d dir -a ! -L dir -a -f dir/file; grep -q evil shared"
        ) {
            try file("direct", $0)
            // A file with another name outside is replaced, not written into.
            try file("shared", $0)
            try $0.begin(TarEntry(.directory, "dir"))
            try file("dir/file", $0)
        }
        #expect(code == nil)
    }

    /// CVE-2014-9356 of docker, CVE-2025-47290 of containerd.
    @Test func directoryReplacedByLinkAndWrittenThrough() throws {
        for target in ["../outside", "/outside", "../../../../../../../../tmp"] {
            let code = try refusal {
                try $0.begin(TarEntry(.directory, "d"))
                try file("d/one", $0)
                try link(.symbolicLink, "d", target, $0)
                try file("d/file", $0)
                try file("d/two", $0)
            }
            #expect(code == nil)
        }
    }

    @Test func timesOfReplacedDirectoryDoNotLeak() throws {
        let code = try refusal(check: "test $(stat -c %Y inner) = 77") {
            var inner = TarEntry(.directory, "inner")
            inner.modified = Timestamp(seconds: 77)
            try $0.begin(inner)
            var outer = TarEntry(.directory, "d")
            outer.modified = Timestamp(seconds: 99)
            try $0.begin(outer)
            try link(.symbolicLink, "d", "inner", $0)
        }
        #expect(code == nil)
    }

    @Test func magicLinks() throws {
        #expect(
            try refusal(prepare: "mkdir proc; ln -s /proc/self/root esc; ln -s /proc/self/cwd cwd") {
                try file("esc/etc/evil", $0)
                try file("cwd/evil", $0)
            } == nil)
    }

    @Test(arguments: ["../outside/file", "../secret", "a/../../secret"])
    func hardLinkOut(target: String) throws {
        #expect(try refusal { try link(.hardLink, "x", target, $0) } == .unsafeEntry)
    }

    /// CVE-2014-6407 of docker.
    @Test func hardLinkThroughLinkOut() throws {
        #expect(
            try refusal(prepare: "ln -s ../outside o; ln -s ../secret s", check: "test -L x") {
                try link(.hardLink, "x", "s", $0)
                try link(.hardLink, "y", "o/file", $0)
            } == .malformed)
    }

    @Test func hardLinkOddities() throws {
        #expect(try refusal { try link(.hardLink, "x", "missing", $0) } == .malformed)
        #expect(try refusal { try link(.hardLink, "x", "missing/y", $0) } == .malformed)
        #expect(try refusal { try link(.hardLink, "x", "/", $0) } == .malformed)
        #expect(try refusal(prepare: "mkdir d") { try link(.hardLink, "x", "d", $0) } == .malformed)
        #expect(
            try refusal(check: "grep -q evil x && grep -q evil y") {
                try file("x", $0)
                try link(.hardLink, "x", "x", $0)
                try link(.hardLink, "y", "x", $0)
                try link(.hardLink, "x", "y", $0)
            } == nil)
    }

    @Test(arguments: [LayerApplier.Whiteouts.overlay, .remove])
    func whiteoutNames(whiteouts: LayerApplier.Whiteouts) throws {
        for name in [".wh.", ".wh..", ".wh...", "d/.wh.", "d/.wh..", "d/.wh...", "/.wh..."] {
            #expect(
                try refusal(whiteouts, prepare: "mkdir d; touch d/x", check: "test -f d/x") {
                    try file(name, $0, "")
                } == .unsafeEntry, "\(name)")
        }
        #expect(try refusal(whiteouts) { try file(".wh.a/b", $0) } == .unsafeEntry)
        #expect(try refusal(whiteouts) { try file("c/.wh.a/b", $0) } == .unsafeEntry)
        #expect(
            try refusal(whiteouts, check: "test -z \"$(ls -A)\"") { try file(".wh..wh.plnk/1.2", $0) } == nil)
        #expect(try refusal(whiteouts) { try file("../.wh.outside", $0) } == .unsafeEntry)
    }

    @Test func whiteoutThroughLinkOut() throws {
        #expect(
            try refusal(
                .remove, prepare: "ln -s ../outside o; ln -s /outside p; ln -s ../secret s",
                check: "test ! -L s"
            ) {
                try file("o/.wh.file", $0, "")
                try file("p/.wh.file", $0, "")
                try file("o/.wh..wh..opq", $0, "")
                try file(".wh.s", $0, "")
            } == nil)
    }

    /// A prefix of the root's name is not the root (CVE-2025-11395 of podman).
    @Test func siblingsOfTheSamePrefix() throws {
        let siblings = "mkdir ../rootx; echo precious > ../rootx/bar"
        for kind in [TarEntry.Kind.symbolicLink, .hardLink] {
            let code = try refusal(.remove, prepare: siblings, check: "grep -q precious ../rootx/bar") {
                try link(kind, "link", "../rootx/bar", $0)
                try file("link", $0)
            }
            #expect(code == (kind == .hardLink ? .unsafeEntry : nil))
        }
        #expect(
            try refusal(.remove, prepare: siblings, check: "test -f ../rootx/bar") {
                try file("../rootx/.wh.bar", $0, "")
            } == .unsafeEntry)
    }

    /// A hard link is to what is in the layer, not to what is found from where we are
    /// (CVE-2026-50163 of oras).
    @Test func hardLinkToTheWorkingDirectory() throws {
        // Tests are run in one that has it.
        #expect(File.exists("Package.swift"))
        let code = try refusal(check: "test ! -e x") { try link(.hardLink, "x", "Package.swift", $0) }
        #expect(code == .malformed)
    }

    /// Where a container writes, too, what was just made may have become a link before its mode is
    /// set (CVE-2021-41089 and CVE-2018-15664 of docker cp, CVE-2021-32760 of containerd).
    @Test func aLinkInPlaceOfWhatWasMade() throws {
        let scratch = try Scratch()
        let root = try scratch.directory("root")
        try scratch.run("touch precious; chmod 600 precious")
        let names = (0..<3000).map { "pipe\($0)" }
        let bytes = try tar { writer in
            for name in names {
                var entry = TarEntry(.fifo, name)
                entry.mode = 0o666
                try writer.begin(entry)
            }
        }
        let (at, path) = (root.raw, scratch.path)
        let end = Mutex(false)
        let container = try JoinedThread {
            var next = 0
            while !end.withLock({ $0 }) {
                guard faccessat(at, names[next], F_OK, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
                symlinkat("\(path)/precious", at, "link")
                renameat(at, "link", at, names[next])
                next = min(next + 1, names.count - 1)
            }
        }
        // It may be refused, or have been done before the link was there.
        _ = archiveError {
            try LayerApplier.apply(BytesSource(bytes), to: root, options: .init(whiteouts: .none))
        }
        end.withLock { $0 = true }
        container.join()
        #expect(try File.status("\(path)/precious").st_mode & 0o777 == 0o600)
    }

    @Test func whiteoutOfNothing() throws {
        for whiteouts in [LayerApplier.Whiteouts.overlay, .remove] {
            #expect(
                try refusal(whiteouts, prepare: "touch f") {
                    try file(".wh.nothing", $0, "")
                    try file("no/where/.wh.nothing", $0, "")
                    try file("nope/.wh..wh..opq", $0, "")
                } == nil)
        }
        #expect(
            try refusal(.remove, prepare: "touch f", check: "test -f f") { try file("f/.wh.x", $0, "") }
                == nil)
        #expect(
            try refusal(.remove, prepare: "touch f", check: "test -f f") {
                try file("f/.wh..wh..opq", $0, "")
            } == nil)
    }

    @Test func fileOnTheWay() throws {
        #expect(
            try refusal {
                try file("a", $0)
                try file("a/b", $0)
            } == .fileSystem)
    }

    /// A link in place of the root, through which the next layer goes (CVE-2021-29136 of umoci).
    @Test func rootIsADirectory() throws {
        for name in ["/", ".", "./", "//"] {
            #expect(try refusal { try file(name, $0) } == .unsafeEntry)
            #expect(try refusal { try link(.symbolicLink, name, "/outside", $0) } == .unsafeEntry)
        }
    }

    @Test func overlayNotesAreNotTaken() throws {
        #expect(
            try refusal(check: "! getfattr -d -m - -R . | grep overlay") {
                for (index, name) in ["redirect", "metacopy", "opaque", "origin"].enumerated() {
                    var entry = TarEntry(.directory, "d\(index)")
                    entry.attributes = [
                        .init("trusted.overlay.\(name)", Array("/etc".utf8)),
                        .init("user.overlay.\(name)", [0x79]),
                    ]
                    try $0.begin(entry)
                    entry.kind = .regular
                    entry.name = Array("f\(index)".utf8)
                    try $0.begin(entry)
                }
            } == nil)
    }

    @Test func bounds() throws {
        #expect(
            try refusal(options: .init(whiteouts: .overlay, maximumEntries: 3)) {
                for index in 0..<4 { try file("f\(index)", $0) }
            } == .limitExceeded)
        #expect(
            try refusal(options: .init(whiteouts: .overlay, maximumBytes: 7)) {
                for index in 0..<2 { try file("f\(index)", $0) }
            } == .limitExceeded)
        let long = String(repeating: "a/", count: 2500)
        #expect(try refusal { try file(long + "x", $0) } == .limitExceeded)
        #expect(try refusal { try link(.symbolicLink, "x", long, $0) } == .limitExceeded)
        #expect(try refusal { try file(String(repeating: "n", count: 300), $0) } == .fileSystem)
        #expect(
            try refusal {
                var entry = TarEntry(.regular, "x")
                entry.attributes = [.init("user.big", [UInt8](repeating: 65, count: 2 << 20))]
                try $0.begin(entry)
            } == .limitExceeded)
    }

    @Test func deepTree() throws {
        // Deeper than there are descriptors, and removed again.
        let deep = String(repeating: "d/", count: 1200)
        let scratch = try Scratch()
        let root = try scratch.directory("root")
        let bytes = try tar {
            try file(deep + "x", $0)
            try $0.begin(TarEntry(.directory, deep))
        }
        try apply(bytes, to: root)
        let again = try archive(root)
        let other = try scratch.directory("other")
        try apply(again, to: other)
        #expect(try archive(other) == again)
        try apply(try tar { try file(".wh.d", $0, "") }, to: other, .remove)
        #expect(try File.names(inDirectory: other.raw) == [])
    }

    @Test func nameWithNul() throws {
        #expect(archiveError { _ = try PaxRecords(parsing: Array("12 path=a\u{0}b\n".utf8)) } == nil)
        var bytes = try tar { try file(String(repeating: "n", count: 150), $0) }
        let position = try #require(bytes.firstIndex(of: UInt8(ascii: "="))) + 20
        bytes[position] = 0
        #expect(archiveError { _ = try TarReader(BytesSource(bytes)).next() } == .malformed)
    }
}

extension Scratch {
    /// All but the root.
    func outsideSnapshot() throws -> [String] {
        try snapshot(root.raw).filter { !$0.hasPrefix("./root") && !$0.hasPrefix(". ") }
    }
}
