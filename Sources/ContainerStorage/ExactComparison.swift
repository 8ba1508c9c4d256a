import LinuxSystem

/// Compares two trees in all that can be said of files, contents and
/// attributes included. No links are followed; the files are opened below the
/// roots' descriptors, one directory of each at a time.
struct ExactComparison {
    private let right: Int32
    private let found: Int32
    private var differences: [String] = []
    private var waiting: [[UInt8]] = [[]]

    /// What is not as in the right tree, each as a phrase; sorted.
    static func differences(
        right: borrowing Descriptor, found: borrowing Descriptor
    ) throws(SystemError) -> [String] {
        var comparison = ExactComparison(right: right.raw, found: found.raw)
        let (one, other) = (try FD.stat(right.raw), try FD.stat(found.raw))
        if one.st_mode != other.st_mode || one.st_uid != other.st_uid || one.st_gid != other.st_gid {
            comparison.differences.append("/ has changed")
        }
        while let path = comparison.waiting.popLast() { try comparison.compare(path) }
        return comparison.differences.sorted()
    }

    private init(right: Int32, found: Int32) {
        self.right = right
        self.found = found
    }

    private static func open(_ path: [UInt8], _ root: Int32) throws(SystemError) -> Descriptor {
        let path = path.isEmpty ? [UInt8(ascii: ".")] : Array(path.dropFirst())
        return try File.openRaw(
            path.map { CChar(bitPattern: $0) } + [0], beneath: root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    }

    private mutating func note(_ path: [UInt8], _ what: String) {
        differences.append(String(decoding: path, as: UTF8.self) + " " + what)
    }

    private mutating func compare(_ path: [UInt8]) throws(SystemError) {
        let one = try Self.open(path, right)
        let other = try Self.open(path, found)
        var left: [[UInt8]: DirectoryListing.Entry] = [:]
        for entry in try DirectoryListing(one.raw).entries { left[entry.bytes] = entry }
        for entry in try DirectoryListing(other.raw).entries {
            let place = path + [0x2F] + entry.bytes
            guard left.removeValue(forKey: entry.bytes) != nil else {
                note(place, "should not be there")
                continue
            }
            let before = try Self.status(entry.name, one.raw)
            let after = try Self.status(entry.name, other.raw)
            if try differ(entry.name, before, after, one.raw, other.raw) { note(place, "has changed") }
            if before.st_mode & S_IFMT == S_IFDIR, after.st_mode & S_IFMT == S_IFDIR { waiting.append(place) }
        }
        for name in left.keys { note(path + [0x2F] + name, "is missing") }
    }

    private func differ(
        _ name: [CChar], _ before: stat, _ after: stat, _ one: Int32, _ other: Int32
    ) throws(SystemError) -> Bool {
        if before.st_mode != after.st_mode || before.st_uid != after.st_uid || before.st_gid != after.st_gid
            || before.st_rdev != after.st_rdev
        {
            return true
        }
        // No archive says when a whiteout was made, or a directory that it has no entry for.
        let isWhiteout = before.st_mode & S_IFMT == S_IFCHR && before.st_rdev == 0
        if before.st_mode & S_IFMT != S_IFDIR, !isWhiteout,
            before.st_size != after.st_size || Timestamp(before.st_mtim) != Timestamp(after.st_mtim)
        {
            return true
        }
        switch before.st_mode & S_IFMT {
        case S_IFLNK: if try Self.link(name, one) != Self.link(name, other) { return true }
        case S_IFREG:
            let areEqual = try Self.haveEqualContents(name, one, other, Int(before.st_size))
            if !areEqual { return true }
        default: break
        }
        return try Self.attributes(name, one) != Self.attributes(name, other)
    }

    private static func status(_ name: [CChar], _ directory: Int32) throws(SystemError) -> stat {
        var status = stat()
        _ = try retrying("stat") { fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) }
        return status
    }

    private static func link(_ name: [CChar], _ directory: Int32) throws(SystemError) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = try retrying("readlink") {
            buffer.withUnsafeMutableBytes {
                readlinkat(directory, name, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
            }
        }
        return Array(buffer[..<count])
    }

    private static func attributes(_ name: [CChar], _ directory: Int32) throws(SystemError) -> [[UInt8]:
        [UInt8]]
    {
        var result: [[UInt8]: [UInt8]] = [:]
        for attribute in try ExtendedAttributes.names(of: name, at: directory) {
            result[attribute] = try ExtendedAttributes.value(of: name, at: directory, attribute)
        }
        return result
    }

    private static func haveEqualContents(_ name: [CChar], _ one: Int32, _ other: Int32, _ size: Int)
        throws(SystemError) -> Bool
    {
        func open(_ directory: Int32) throws(SystemError) -> Descriptor {
            let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
            return Descriptor(owning: try retrying("open") { openat(directory, name, flags) })
        }
        let first = try open(one)
        let second = try open(other)
        let half = 1 << 17
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * half, alignment: 4096)
        defer { buffer.deallocate() }
        let (start, middle) = (buffer.baseAddress!, buffer.baseAddress! + half)
        var position = 0
        while position < size {
            let count = try retrying("read") { pread(first.raw, start, half, off_t(position)) }
            let same = try retrying("read") { pread(second.raw, middle, half, off_t(position)) }
            if count != same || memcmp(start, middle, count) != 0 { return false }
            if count == 0 { break }
            position += count
        }
        return true
    }
}
