import LinuxSystem

@testable import LayerArchive

/// The same numbers for the same seed (SplitMix64).
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Does to a tree whatever a program might, without thought.
struct RandomTree {
    private let root: Int32
    private var numbers: SeededNumbers

    init(_ root: borrowing Descriptor, seed: UInt64) {
        self.root = root.raw
        numbers = SeededNumbers(seed)
    }

    private static let names: [[UInt8]] =
        [
            "a", "b", "c", "d", "with space", "ü", "new\nline", String(repeating: "long", count: 50),
            ".hidden",
        ].map { Array($0.utf8) } + [[0x6E, 0xF6]]

    /// All that is in the tree, as C strings below the root; directories first or not, as it comes.
    private func paths() throws -> (directories: [[CChar]], others: [[CChar]]) {
        var directories: [[CChar]] = [[0x2E, 0]]
        var others: [[CChar]] = []
        var index = 0
        while index < directories.count {
            let path = directories[index]
            index += 1
            let opened = try File.openRaw(path, beneath: root, O_RDONLY | O_DIRECTORY)
            for entry in try DirectoryListing(opened.raw).entries {
                let child = path.dropLast() + [0x2F] + entry.name
                var status = stat()
                fstatat(opened.raw, entry.name, &status, AT_SYMLINK_NOFOLLOW)
                if status.st_mode & S_IFMT == S_IFDIR {
                    directories.append(child)
                } else {
                    others.append(child)
                }
            }
        }
        return (directories, others)
    }

    private mutating func chance(_ of: Int) -> Bool { Int.random(in: 0..<of, using: &numbers) == 0 }

    private mutating func newPath(_ directories: [[CChar]]) -> [CChar] {
        let directory = directories.filter { $0.count < 800 }.randomElement(using: &numbers)!
        let name = Self.names.randomElement(using: &numbers)!
        return directory.dropLast() + [0x2F] + name.map { CChar(bitPattern: $0) } + [0]
    }

    private mutating func contents() -> [UInt8] {
        let sizes = [0, 1, 511, 512, 513, 4096, 70_000, 300_000]
        var bytes = [UInt8](
            repeating: UInt8.random(in: 1...255, using: &numbers),
            count: sizes.randomElement(using: &numbers)!)
        // Some have zeros that may become holes.
        if bytes.count > 65_536, chance(2) {
            for index in 65_536..<min(bytes.count, 65_536 + Int.random(in: 1...200_000, using: &numbers)) {
                bytes[index] = 0
            }
        }
        return bytes
    }

    private func write(_ bytes: [UInt8], _ path: [CChar], _ flags: Int32) {
        let file = openat(root, path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags, 0o644)
        guard file >= 0 else { return }
        var status = stat()
        fstat(file, &status)
        if status.st_mode & S_IFMT == S_IFREG { try? FD.writeAll(file, bytes) }
        close(file)
    }

    private mutating func setTime(_ path: [CChar]) {
        let time = Timestamp(
            seconds: Int64.random(in: -1000...4_000_000_000, using: &numbers),
            nanoseconds: Int32.random(in: 0...999_999_999, using: &numbers))
        try? FileMetadata.setTimes(of: path, at: root, accessed: time, modified: time)
    }

    mutating func change(times: Int) throws {
        for _ in 0..<times {
            let (directories, others) = try paths()
            let any = (directories.dropFirst() + others).randomElement(using: &numbers)
            let file = others.randomElement(using: &numbers)
            switch Int.random(in: 0..<19, using: &numbers) {
            case 0, 1, 2: write(contents(), newPath(directories), O_CREAT | O_EXCL)
            case 3, 4: mkdirat(root, newPath(directories), 0o755)
            case 5: symlinkat(chance(2) ? "../a" : "/etc/passwd", root, newPath(directories))
            case 6: mknodat(root, newPath(directories), S_IFIFO | 0o640, 0)
            case 7:
                mknodat(
                    root, newPath(directories), S_IFCHR | 0o600,
                    gnu_dev_makedev(
                        .random(in: 1...4000, using: &numbers), .random(in: 0...300_000, using: &numbers)))
            case 8, 9: if let file { linkat(root, file, root, newPath(directories), 0) }
            case 10, 11: if let any { try TreeRemoval.remove(any, at: root) }
            case 12: if let any { renameat(root, any, root, newPath(directories)) }
            case 13:
                if let any, (try? File.openRaw(any, beneath: root, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)) != nil
                {
                    fchmodat(root, any, mode_t.random(in: 0...0o7777, using: &numbers), 0)
                }
            case 14:
                if let any {
                    fchownat(
                        root, any, uid_t.random(in: 0...3_000_000_000, using: &numbers),
                        gid_t.random(in: 0...5000, using: &numbers), AT_SYMLINK_NOFOLLOW)
                }
            case 15:
                if let any {
                    let name = ["user.x", "user.y", "trusted.z", "security.capability"].randomElement(
                        using: &numbers)!
                    // A version 2 capability (linux/capability.h).
                    let value: [UInt8] =
                        name == "security.capability"
                        ? [1, 0, 0, 2] + [UInt8](repeating: 0, count: 16) : [1, 0, 2]
                    try? ExtendedAttributes.set(of: any, at: root, .init(name, value))
                }
            case 16: if let any { setTime(any) }
            case 17: if let file { write(contents(), file, chance(2) ? O_APPEND : O_TRUNC) }
            default:
                // The same size and time as before, and other bytes.
                guard let file else { break }
                var status = stat()
                fstatat(root, file, &status, AT_SYMLINK_NOFOLLOW)
                guard status.st_mode & S_IFMT == S_IFREG, status.st_size > 0 else { break }
                write([UInt8.random(in: 1...255, using: &numbers)], file, 0)
                try? FileMetadata.setTimes(
                    of: file, at: root, accessed: Timestamp(status.st_atim),
                    modified: Timestamp(status.st_mtim))
            }
        }
    }
}
