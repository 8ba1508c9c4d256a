import LinuxSystem
import Testing

@testable import LayerArchive

/// Archives that other programs wrote, and ours read by them.
@Suite struct FormatTests {
    /// Without what old formats cannot hold.
    static let modest = """
        mkdir -p plain deep/er setgid sticky; echo hello > plain/file; : > plain/nothing
        head -c 300000 /dev/urandom > plain/large; head -c 512 /dev/urandom > plain/block
        chmod 4755 plain/file; chmod 0000 plain/nothing; chmod 2755 setgid; chmod 1777 sticky
        ln plain/file deep/er/link; ln -s ../plain/file deep/soft; ln -s /nowhere deep/dangling
        mkfifo -m 0640 deep/fifo; mknod -m 0600 deep/null c 1 3; mknod deep/disk b 8 259
        chown 1000:2000 plain/file; chown -h 12:34 deep/soft
        find . -exec touch -h -d '2020-05-05 05:05:05' {} +
        """

    func apply(_ name: String, in scratch: Scratch, as target: String) throws -> Descriptor {
        let root = try scratch.directory(target)
        let file = try File.open(name, at: scratch.root.raw)
        try LayerApplier.apply(DescriptorSource(file.raw), to: root, options: .init(whiteouts: .none))
        return root
    }

    @Test(arguments: ["gnu", "oldgnu", "ustar", "posix", "v7"])
    func gnuTar(format: String) throws {
        let scratch = try Scratch()
        let source = try scratch.directory("source")
        // v7 has neither devices nor fifos.
        try scratch.run(
            "cd source; \(Self.modest)\n"
                + (format == "v7"
                    ? "rm deep/null deep/disk deep/fifo; touch -d '2020-05-05 05:05:05' deep" : ""))
        try scratch.run("tar --format=\(format) --numeric-owner -C source -cf a.tar .")
        let root = try apply("a.tar", in: scratch, as: "target")
        try expectSame(snapshot(source.raw), snapshot(root.raw))
    }

    @Test(arguments: [
        "tar --format=posix --xattrs --xattrs-include=* --acls -C source -cf a.tar .",
        "tar --format=posix --xattrs --xattrs-include=* -C source -cf a.tar .",
        "bsdtar --format=pax -C source -cf a.tar .",
    ])
    func everythingByOthers(command: String) throws {
        let scratch = try Scratch()
        let source = try scratch.directory("source")
        try scratch.run("cd source; \(everything)\nrm -f n*-utf8; touch -d '2020-05-05 05:05:05.000000005' .")
        // bsdtar leaves out trusted.*, writes times before 1970 wrong, and decodes names in the locale.
        if command.hasPrefix("bsdtar") {
            try scratch.run(
                "cd source; setfattr -x trusted.mine plain/large; touch -d '2005-05-05' plain/nothing; touch -d '2020-05-05 05:05:05.000000005' ."
            )
        }
        try scratch.run("LC_ALL=C.UTF-8 \(command.quotingStar)")
        let root = try apply("a.tar", in: scratch, as: "target")
        try expectSame(snapshot(source.raw), snapshot(root.raw))
    }

    @Test func gnuLongNamesAndLargeNumbers() throws {
        let scratch = try Scratch()
        let source = try scratch.directory("source")
        try scratch.run(
            "cd source; \(everything)\nrm -rf plain/large deep/large; find . -exec touch -h -d '2020-05-05 05:05:05' {} +; touch -d '1950-01-01' empty"
        )
        try scratch.run(
            "cd source; setfacl -R -b .; setfacl -R -k .; for f in plain/file plain/block setgid empty; do for a in user.one user.empty user.dir security.capability; do setfattr -x $a $f 2>/dev/null || true; done; done; find . -exec touch -h -d '2020-05-05 05:05:05' {} +; touch -d '1950-01-01' empty"
        )
        try scratch.run("tar --format=gnu --numeric-owner -C source -cf a.tar .")
        let root = try apply("a.tar", in: scratch, as: "target")
        try expectSame(snapshot(source.raw), snapshot(root.raw))
    }

    @Test(arguments: [
        "tar --format=gnu -S", "tar --format=oldgnu -S", "tar --format=posix --sparse-version=0.0 -S",
        "tar --format=posix --sparse-version=0.1 -S", "tar --format=posix --sparse-version=1.0 -S",
        "bsdtar --format=pax",
    ])
    func sparse(command: String) throws {
        let scratch = try Scratch()
        let source = try scratch.directory("source")
        try scratch.run(
            """
            cd source; truncate -s 5M hole; truncate -s 8M tail; echo start | dd of=tail conv=notrunc status=none
            truncate -s 40M many; for i in $(seq 0 60); do echo $i | dd of=many bs=4096 seek=$((i*120+7)) conv=notrunc status=none; done
            head -c 100000 /dev/urandom > full; mkdir long; f=long/$(printf 'n%.0s' $(seq 1 150)); truncate -s 1M $f; echo x >> $f
            """)
        try scratch.run("\(command) --numeric-owner -C source -cf a.tar hole tail many full long")
        let root = try apply("a.tar", in: scratch, as: "target")
        let wanted = try snapshot(source.raw).dropFirst()
        let found = try snapshot(root.raw).dropFirst()
        func withoutFractions(_ lines: some Sequence<String>) -> [String] {
            lines.map { $0.without(from: " time ", to: "s") }
        }
        if command.contains("gnu") {
            expectSame(withoutFractions(wanted), withoutFractions(found))
        } else {
            expectSame(Array(wanted), Array(found))
        }
        try scratch.run("test $(du -sk target | cut -f1) -lt 1500")
        // The contents as a stream have the holes' zeros.
        let reader = TarReader(DescriptorSource(owning: try File.open("a.tar", at: scratch.root.raw)))
        while let entry = try reader.next() {
            if entry.kind != .regular { continue }
            let hash = HashingSource(reader.contents(of: entry))
            try hash.drain()
            #expect(hash.count == entry.size)
            let name = entry.text
            let original = HashingSource(
                DescriptorSource(owning: try File.open("source/\(name)", at: scratch.root.raw)))
            try original.drain()
            #expect(hash.digest == original.digest, "\(name)")
        }
    }

    @Test(arguments: [
        "tar --xattrs --xattrs-include=* -xpf a.tar -C target",
        "tar --acls --xattrs --xattrs-include=user.* -xpf a.tar -C target", "bsdtar -xpf a.tar -C target",
        "python3 -c \"import tarfile; tarfile.open('a.tar').extractall('target')\"",
    ])
    func oursReadByOthers(command: String) throws {
        let scratch = try Scratch()
        let source = try scratch.directory("source")
        let isPython = command.hasPrefix("python")
        let isBSD = command.hasPrefix("bsdtar")
        // A default ACL would be inherited by what they unpack; Python sets no attributes.
        let noACLs =
            command.contains("--acls")
            ? "setcap -r plain/block; setfattr -x trusted.mine plain/large"
            : "setfacl -R -k .; setfacl -R -b ."
        try scratch.run(
            "cd source; \(everything)\n\(noACLs); rm -f n*-utf8; find . -type d -exec touch -d '2020-05-05 05:05:05' {} +"
        )
        if isPython {
            try scratch.run(
                "cd source; for f in $(find plain empty); do for a in $(getfattr -m - --absolute-names $f | grep -v '^#'); do setfattr -x $a $f; done; done; "
                    + "find . -exec touch -h -d '2020-05-05 05:05:05' {} +")
        }
        let sink = DescriptorSink(
            owning: try File.open("a.tar", at: scratch.root.raw, O_WRONLY | O_CREAT, mode: 0o600))
        try LayerDiff.write(tree: source, to: sink)
        let root = try scratch.directory("target")
        try scratch.run("LC_ALL=C.UTF-8 \(command.quotingStar)")
        var wanted = try snapshot(source.raw)
        var found = try snapshot(root.raw)
        // Python sets no times of links; bsdtar leaves the root's, reads times
        // before 1970 a second too late and does not decode GNU's names of attributes.
        func isComparable(_ line: String) -> Bool {
            if isPython { return !line.contains(" -> ") }
            if isBSD {
                return !line.hasPrefix(". ") && !line.contains("plain/nothing ") && !line.contains("/large ")
            }
            return true
        }
        wanted = wanted.filter(isComparable)
        found = found.filter(isComparable)
        expectSame(wanted, found)
    }

    @Test func pythonPax() throws {
        let scratch = try Scratch()
        try scratch.run(
            """
            cat > make.py <<'X'
            import tarfile, io
            t = tarfile.open('a.tar', 'w', format=tarfile.PAX_FORMAT, pax_headers={'comment': 'global', 'uid': '77'})
            def add(name, data=b'', **k):
                i = tarfile.TarInfo(name); i.size = len(data)
                for a, v in k.items(): setattr(i, a, v)
                t.addfile(i, io.BytesIO(data))
            add('big-uid', b'x', uid=2**31+5, gid=2**32-2)
            add('neg', b'y', mtime=-1.25)
            add('x'*200, b'z', mtime=1.5)
            add('cap', b'c', pax_headers={'SCHILY.xattr.user.k': 'v=1'})
            t.close()
            X
            python3 make.py
            """)
        let root = try apply("a.tar", in: scratch, as: "target")
        let lines = try snapshot(root.raw)
        #expect(lines.contains { $0.hasPrefix("./big-uid mode 100644 owner 2147483653:4294967294 ") })
        #expect(lines.contains { $0.hasPrefix("./neg mode 100644 owner 0:0 time -2.750000000 ") })
        #expect(
            lines.contains {
                $0.hasPrefix("./\(String(repeating: "x", count: 200)) ") && $0.contains(" time 1.500000000 ")
            })
        #expect(lines.contains { $0.hasPrefix("./cap ") && $0.contains("user.k =\(Array("v=1".utf8))") })
    }

    @Test func endings() throws {
        let whole = try tar { try $0.add(TarEntry(.regular, "a"), contents: [1, 2, 3]) }
        func entries(_ bytes: [UInt8]) throws -> Int {
            let reader = TarReader(BytesSource(bytes))
            var count = 0
            while try reader.next() != nil { count += 1 }
            return count
        }
        #expect(whole.count == 2048)
        #expect(try entries(whole) == 1)
        #expect(try entries(whole + [UInt8](repeating: 0, count: 9000)) == 1)
        #expect(try entries(Array(whole[..<1536])) == 1)
        #expect(try entries(Array(whole[..<1024])) == 1)
        #expect(try entries([]) == 0)
        // Some writers (umoci 0.4) leave the last entry's padding out.
        for length in 515..<1024 { #expect(try entries(Array(whole[..<length])) == 1, "\(length)") }
        for length in 1..<515 {
            #expect(archiveError { _ = try entries(Array(whole[..<length])) } == .truncated, "\(length)")
        }
        #expect(archiveError { _ = try entries(Array(whole[..<1536]) + whole) } == .malformed)
        #expect(archiveError { _ = try entries([UInt8](repeating: 65, count: 2048)) } == .malformed)
    }

    @Test func trailingBytesAreRead() throws {
        let scratch = try Scratch()
        let root = try scratch.directory("root")
        let bytes = try tar { try $0.add(TarEntry(.regular, "a"), contents: [1]) } + sampleBytes(700_000)
        let source = HashingSource(BytesSource(bytes))
        try LayerApplier.apply(source, to: root, options: .init(whiteouts: .overlay))
        #expect(source.count == Int64(bytes.count))
    }

    /// A header's block, and contents, of which it may tell something else.
    private func entry(_ type: String, size: Int, _ contents: [UInt8] = [], name: String = "x") -> [UInt8] {
        var block = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at position: Int) {
            block.replaceSubrange(position..<position + text.utf8.count, with: Array(text.utf8))
        }
        func octal(_ number: Int, _ digits: Int) -> String {
            let text = String(number, radix: 8)
            return String(repeating: "0", count: digits - text.count) + text
        }
        put(name, at: 0)
        put("0000644", at: 100)
        put(octal(size, 11), at: 124)
        put(octal(0, 11), at: 136)
        put(type, at: 156)
        put("ustar\u{0}00", at: 257)
        let padding = [UInt8](repeating: 0, count: (512 - contents.count % 512) % 512)
        var bytes = block + contents + padding
        repairChecksums(&bytes)
        return bytes
    }

    private func refusal(_ bytes: [UInt8]) -> ArchiveError.Code? {
        archiveError {
            let reader = TarReader(BytesSource(bytes))
            while try reader.next() != nil { while try reader.nextPiece() != nil {} }
        }
    }

    /// Headers that are to be held in memory, and have no end (CVE-2022-2879 of Go's archive/tar).
    @Test(arguments: ["x", "g", "L", "K"]) func endlessHeaders(_ type: String) {
        #expect(refusal(entry(type, size: 1 << 30)) == .limitExceeded)
        let large = [UInt8](repeating: 65, count: 2 << 20)
        #expect(refusal(entry(type, size: large.count, large)) == .limitExceeded)
    }

    /// Maps of sparse files of any length, in PAX 1.0 before the contents (CVE-2025-58183), and in
    /// the blocks after an old GNU header (CVE-2026-32288 of Go's archive/tar).
    @Test func endlessSparseMaps() {
        let records = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
        let map = Array(("99999999\n" + String(repeating: "0\n0\n", count: 200_000)).utf8)
        #expect(
            refusal(
                entry("x", size: records.utf8.count, Array(records.utf8)) + entry("0", size: map.count, map))
                == .limitExceeded)

        var header = entry("S", size: 0)
        header.replaceSubrange(257..<265, with: Array("ustar  \u{0}".utf8))
        header[482] = 1
        repairChecksums(&header)
        var extension_ = [UInt8](repeating: 0, count: 512)
        for number in 0..<21 {
            extension_.replaceSubrange(
                number * 24..<number * 24 + 23, with: Array("00000000000\u{0}00000000000".utf8))
        }
        extension_[504] = 1
        let code = refusal(header + repeatElement(extension_, count: 60_000).joined())
        #expect(code == .limitExceeded || code == .malformed)
    }

    /// Thousands of damaged archives: an error or a result, in bounded time, never a trap.
    @Test func mutations() throws {
        let scratch = try Scratch()
        let source = try scratch.directory("source")
        try scratch.run(
            """
            cd source; mkdir d; echo x > d/f; ln d/f l; ln -s x s; mknod c c 1 3; mkfifo p
            n=$(printf 'n%.0s' $(seq 1 130)); echo long > $n; ln -s $n$n d/$n; chown 3000000:4000000 d/f
            setfattr -n user.a -v b d/f; setfacl -m u:5:x d; setfacl -d -m u:5:x d
            truncate -s 200k hole; printf x | dd of=hole bs=1 seek=50000 conv=notrunc status=none
            """)
        var samples = [try archive(source)]
        for format in ["gnu", "posix --sparse-version=1.0", "posix --sparse-version=0.0", "oldgnu"] {
            try scratch.run("tar --format=\(format) --xattrs --acls -S -C source -cf a.tar . ")
            samples.append(try scratch.bytes("a.tar"))
        }
        var random = SplitMix(4711)
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(2)
        var runs = 0
        var failures = 0
        while runs < 5000, clock.now < deadline {
            var bytes = samples[runs % samples.count]
            // Mostly headers: where something other than zeros stands.
            for _ in 0...Int(random.next() % 4) {
                var position = Int(random.next() % UInt64(bytes.count))
                while position < bytes.count - 1, bytes[position] == 0 { position += 1 }
                switch random.next() % 4 {
                case 0: bytes[position] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes[position] ^= 1 << UInt8(random.next() % 8)
                case 2:
                    bytes.replaceSubrange(
                        position..<min(position + 12, bytes.count),
                        with: repeatElement(0xFF, count: min(12, bytes.count - position)))
                default:
                    bytes.removeSubrange(position..<min(position + Int(random.next() % 700), bytes.count))
                }
            }
            if random.next() % 2 == 0 { repairChecksums(&bytes) }
            runs += 1
            do {
                let reader = TarReader(BytesSource(bytes))
                while let entry = try reader.next() {
                    var total: Int64 = 0
                    while let piece = try reader.nextPiece() { total += Int64(piece.count) }
                    #expect(total == (entry.kind == .regular ? entry.storedSize : 0))
                }
            } catch is ArchiveError {
                failures += 1
            }
        }
        #expect(runs > 20)
        #expect(failures > runs / 10)
    }

    /// Makes the checksums of all blocks that look like headers right again, to reach what is behind.
    private func repairChecksums(_ bytes: inout [UInt8]) {
        for start in stride(from: 0, through: bytes.count - 512, by: 512)
        where bytes[start + 257..<start + 262].elementsEqual("ustar".utf8) {
            bytes.replaceSubrange(start + 148..<start + 156, with: repeatElement(0x20, count: 8))
            var sum = 0
            for byte in bytes[start..<start + 512] { sum += Int(byte) }
            let text = String(sum, radix: 8)
            let digits = String(repeating: "0", count: 6 - text.count) + text
            bytes.replaceSubrange(start + 148..<start + 155, with: Array(digits.utf8) + [0])
        }
    }
}

extension String {
    fileprivate var quotingStar: String {
        split(separator: "=*", omittingEmptySubsequences: false).joined(separator: "='*'")
    }

    /// From one text to the next, without what stands between.
    fileprivate func without(from start: String, to end: Character) -> String {
        guard let range = ranges(of: start).first else { return self }
        let rest = self[range.upperBound...].drop { $0 != end }
        return String(self[..<range.lowerBound] + rest)
    }
}
