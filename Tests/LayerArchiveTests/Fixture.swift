import LinuxSystem
import Testing

@testable import LayerArchive

/// A directory of a test's own, gone after it.
final class Scratch {
    let path: String
    let root: Descriptor

    init(_ name: String = #function) throws {
        var template = Array("/tmp/apus-archive-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp", "", .current) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        root = try File.open(path, O_RDONLY | O_DIRECTORY)
    }

    deinit {
        _ = path.withCString { try? TreeRemoval.remove($0, at: AT_FDCWD) }
    }

    /// An empty directory in it, open.
    func directory(_ name: String) throws -> Descriptor {
        try File.makeDirectory(name, at: root.raw)
        return try File.open(name, at: root.raw, O_RDONLY | O_DIRECTORY)
    }

    /// Runs a shell command in it.
    @discardableResult
    func shell(_ command: String) throws -> Int32 {
        let status = "cd \(path) && { \(command)\n}".withCString { system($0) }
        return status
    }

    func run(_ command: String) throws {
        try #require(try shell("set -e; \(command)") == 0, "\(command)")
    }

    func bytes(_ name: String) throws -> [UInt8] { try File.read(name, at: root.raw, limit: 1 << 30) }
}

/// All that there is to know about a tree, a line a file.
func snapshot(_ root: Int32, directoryTimes: Bool = true) throws -> [String] {
    var lines: [String] = []
    var names: [ino_t: String] = [:]
    func describe(_ directory: Int32, _ name: [CChar], _ path: String) throws {
        var status = stat()
        guard fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw SystemError("stat", path, .current)
        }
        let type = status.st_mode & mode_t(S_IFMT)
        var line = "\(path) mode \(String(status.st_mode, radix: 8)) owner \(status.st_uid):\(status.st_gid)"
        if directoryTimes || type != mode_t(S_IFDIR) {
            line += " time \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
        }
        for name in try ExtendedAttributes.names(of: name, at: directory).sorted(by: {
            $0.lexicographicallyPrecedes($1)
        }) {
            line += " \(String(decoding: name, as: UTF8.self))"
        }
        for attribute in try ExtendedAttributes.names(of: name, at: directory).sorted(by: {
            $0.lexicographicallyPrecedes($1)
        }) {
            line += " =\(try ExtendedAttributes.value(of: name, at: directory, attribute) ?? [])"
        }
        switch type {
        case mode_t(S_IFREG):
            let file = Descriptor(owning: openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC))
            let hash = HashingSource(DescriptorSource(file.raw))
            try hash.drain()
            line += " size \(status.st_size) \(hash.digest.short)"
        case mode_t(S_IFLNK):
            var target = [CChar](repeating: 0, count: Int(PATH_MAX))
            let count = readlinkat(directory, name, &target, target.count)
            line += " -> \(target[..<max(count, 0)].map { UInt8(bitPattern: $0) })"
        case mode_t(S_IFCHR), mode_t(S_IFBLK):
            line += " device \(gnu_dev_major(status.st_rdev)),\(gnu_dev_minor(status.st_rdev))"
        default: break
        }
        if type != mode_t(S_IFDIR), status.st_nlink > 1 {
            if let first = names[status.st_ino] {
                line += " same as \(first)"
            } else {
                names[status.st_ino] = path
            }
            line += " links \(status.st_nlink)"
        }
        lines.append(line)
        if type == mode_t(S_IFDIR) {
            let opened = Descriptor(
                owning: openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC))
            for entry in try DirectoryListing(opened.raw).entries.sorted(by: {
                $0.bytes.lexicographicallyPrecedes($1.bytes)
            }) {
                // Escaped, so that names that are not UTF-8 stay different.
                let shown = entry.bytes.map { $0 < 0x80 ? String(UnicodeScalar($0)) : "\\\($0)" }.joined()
                try describe(opened.raw, entry.name, path + "/" + shown)
            }
        }
    }
    try describe(root, [0x2E, 0], ".")
    return lines
}

/// An archive in memory.
func tar(_ build: (TarWriter) throws -> Void) throws -> [UInt8] {
    let sink = BytesSink()
    let writer = TarWriter(sink)
    try build(writer)
    try writer.finish()
    return sink.bytes
}

@discardableResult
func apply(
    _ bytes: [UInt8], to root: borrowing Descriptor, _ whiteouts: LayerApplier.Whiteouts = .none
) throws -> LayerApplier.Outcome {
    try LayerApplier.apply(BytesSource(bytes), to: root, options: .init(whiteouts: whiteouts))
}

func archive(_ root: borrowing Descriptor) throws -> [UInt8] {
    let sink = BytesSink()
    try LayerDiff.write(tree: root, to: sink)
    return sink.bytes
}

/// A tree with one of everything.
let everything = """
    mkdir -p plain deep/er/still 'with space' setgid sticky empty
    echo hello > plain/file; : > plain/nothing
    head -c 3000000 /dev/urandom > plain/large; head -c 512 /dev/urandom > plain/block
    chmod 4755 plain/file; chmod 0000 plain/nothing; chmod 2755 setgid; chmod 1777 sticky
    ln plain/file deep/er/link; ln plain/large deep/large
    ln -s ../plain/file deep/soft; ln -s /nowhere/at/all deep/dangling; ln -s . deep/self; ln deep/soft deep/softlink
    mkfifo -m 0640 deep/fifo; mknod -m 0600 deep/null c 1 3; mknod deep/disk b 8 259; mknod deep/big c 4095 1048575
    chown 1000:2000 plain/file; chown 3000000000:4000000000 plain/block; chown -h 12:34 deep/soft; chown 5:6 empty
    chown 2097152:2097151 deep/fifo
    touch -d '2001-02-03 04:05:06.123456789' plain/block; touch -d '1969-12-31 23:59:58.5' plain/nothing
    touch -h -d '2100-01-01 00:00:00.000000001' deep/dangling
    long=$(printf 'x%.0s' $(seq 1 120)); mkdir -p $long/$long/$long; echo x > $long/$long/$long/$long
    ln -s $long/$long/$long/$long deep/longlink; ln $long/$long/$long/$long deep/longhard
    printf 'l\\374tin' > $(printf 'n\\366n-utf8'); echo ü > ünïcode
    setfattr -n user.one -v 1 plain/file; setfattr -n user.empty plain/file; setfattr -n user.dir -v d empty
    setfattr -n user.bin -v 0x00010a3d00 plain/large; setfattr -n 'user.a=b%c' -v eq plain/large
    setfattr -n trusted.mine -v t plain/large
    setcap cap_net_bind_service=ep plain/block
    setfacl -m u:1234:rwx,g:99:r plain/large; setfacl -d -m u:77:rx deep; setfacl -m u:5:x deep
    mkdir deep/inherits; echo x > deep/inherits/file
    printf 'a\\nb' > 'new
    line'
    find . -type d -exec touch -d '2020-05-05 05:05:05.000000005' {} +
    """

/// What is in one of two snapshots only: empty when they are the same.
func difference(_ left: [String], _ right: [String]) -> [String] {
    let lefts = Set(left)
    let rights = Set(right)
    return left.filter { !rights.contains($0) }.map { "- \($0.prefix(400))" }
        + right.filter { !lefts.contains($0) }.map { "+ \($0.prefix(400))" }
}

func expectSame(
    _ wanted: [String], _ found: [String], _ comment: Comment? = nil,
    location: SourceLocation = #_sourceLocation
) {
    let found = difference(wanted, found)
    #expect(found == [], comment, sourceLocation: location)
}
