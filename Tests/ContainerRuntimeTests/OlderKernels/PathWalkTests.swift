import LinuxSystem
import Synchronization
import Testing

/// `PathWalk` beside openat2(2), which it stands for.
@Suite(.openat2)
struct PathWalkTests {
    private final class Tree {
        let path = "/tmp/apus-walk-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let root: Int32

        init() throws {
            try File.makeDirectories("\(path)/root")
            root = try File.open("\(path)/root", O_PATH | O_DIRECTORY).take()
        }

        deinit {
            close(root)
            try? File.removeTree(path)
        }
    }

    private enum Outcome: Equatable, CustomStringConvertible {
        case opened(inode: UInt64, device: UInt64, isPath: Bool)
        case failed(Errno)

        init(_ descriptor: borrowing Descriptor) {
            let status = try? FD.stat(descriptor.raw)
            let flags = linux_fcntl(descriptor.raw, F_GETFL, 0)
            self = .opened(
                inode: UInt64(status?.st_ino ?? 0), device: UInt64(status?.st_dev ?? 0),
                isPath: flags & O_PATH != 0)
        }

        var description: String {
            switch self {
            case .opened(let inode, _, let isPath): "inode \(inode)\(isPath ? ", a path" : "")"
            case .failed(let errno): "\(errno)"
            }
        }
    }

    private func walked(_ path: String, _ root: Int32, _ flags: Int32, _ resolve: UInt64) -> Outcome {
        do throws(Errno) {
            return Outcome(try PathWalk.open(path, at: root, flags, 0o600, resolve))
        } catch {
            return .failed(error)
        }
    }

    private func kernels(_ path: String, _ root: Int32, _ flags: Int32, _ resolve: UInt64) -> Outcome {
        var how = open_how()
        how.flags = UInt64(UInt32(bitPattern: flags | O_CLOEXEC))
        how.mode = flags & O_CREAT != 0 ? 0o600 : 0
        how.resolve = resolve
        var result = -Int(EAGAIN)
        // Which it says of `..` when anything is renamed or mounted on this machine.
        while result == -Int(EAGAIN) {
            result = path.withCString { name in
                withUnsafeMutablePointer(to: &how) { how in
                    linux_syscall(
                        Int(SYS_openat2), Int(root), Int(bitPattern: name), Int(bitPattern: how),
                        MemoryLayout<open_how>.size, 0, 0)
                }
            }
        }
        guard result >= 0 else { return .failed(Errno(Int32(-result))) }
        return Outcome(Descriptor(owning: Int32(result)))
    }

    private static let resolutions: [UInt64] = [
        UInt64(RESOLVE_IN_ROOT), UInt64(RESOLVE_BENEATH),
        UInt64(RESOLVE_BENEATH) | UInt64(RESOLVE_NO_SYMLINKS),
        UInt64(RESOLVE_BENEATH) | UInt64(RESOLVE_NO_XDEV),
    ].map { $0 | UInt64(RESOLVE_NO_MAGICLINKS) }

    @Test func agreesWithTheKernelOnRandomTrees() throws {
        let words = ["a", "b", "c", "d", "..", ".", "", "/", "../..", "a/b", "b/../c"]
        let flags: [Int32] = [
            O_PATH, O_RDONLY, O_RDWR, O_PATH | O_NOFOLLOW, O_RDONLY | O_NOFOLLOW, O_PATH | O_DIRECTORY,
            O_RDONLY | O_DIRECTORY,
        ]
        for _ in 0..<30 {
            let tree = try Tree()
            var directories = ["\(tree.path)/root"]
            for _ in 0..<12 {
                let place = "\(directories.randomElement()!)/\(["a", "b", "c", "d"].randomElement()!)"
                if File.exists(place) { continue }
                switch Int.random(in: 0..<3) {
                case 0:
                    try File.makeDirectory(place)
                    directories.append(place)
                case 1: try File.replace(place, with: [], durable: false)
                default:
                    let target = (0..<Int.random(in: 1...3)).map { _ in words.randomElement()! }
                    let text = target.joined(separator: "/")
                    try File.makeSymbolicLink(to: text.isEmpty ? "a" : text, place)
                }
            }
            for _ in 0..<300 {
                let path = (0..<Int.random(in: 1...5)).map { _ in words.randomElement()! }
                    .joined(separator: "/")
                let flags = flags.randomElement()!
                let resolve = Self.resolutions.randomElement()!
                let expected = kernels(path, tree.root, flags, resolve)
                #expect(walked(path, tree.root, flags, resolve) == expected, "\(path) \(flags) \(resolve)")
            }
        }
    }

    @Test func makesFilesAsTheKernelDoes() throws {
        for resolve in Self.resolutions.dropLast() {
            for path in ["new", "dir/new", "dangling", "outside", "exists", "dir", "dir/", "new/", "loop"] {
                for flags in [O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL, O_RDWR | O_CREAT | O_NOFOLLOW] {
                    var outcomes: [String] = []
                    for walks in [false, true] {
                        let tree = try Tree()
                        let root = "\(tree.path)/root"
                        try File.makeDirectory("\(root)/dir")
                        try File.makeSymbolicLink(to: "dir/made", "\(root)/dangling")
                        try File.makeSymbolicLink(to: "../../stolen", "\(root)/outside")
                        try File.makeSymbolicLink(to: "loop", "\(root)/loop")
                        try File.replace("\(root)/exists", with: [], durable: false)
                        let outcome =
                            walks
                            ? walked(path, tree.root, flags, resolve)
                            : kernels(path, tree.root, flags, resolve)
                        #expect(!File.exists("\(tree.path)/stolen"))
                        var text = "opened"
                        if case .failed(let errno) = outcome { text = "\(errno)" }
                        let names = try File.names(in: root) + File.names(in: "\(root)/dir")
                        outcomes.append("\(text) \(names.sorted())")
                    }
                    #expect(outcomes[0] == outcomes[1], "\(path) \(flags) \(resolve)")
                }
            }
        }
    }

    @Test func magicLinksLeadNowhere() throws {
        let procfs = try File.open("/proc", O_PATH | O_DIRECTORY)
        for path in ["self/root", "self/cwd", "self/fd/0", "self/root/etc", "self/exe", "self/ns/mnt"] {
            for resolve in Self.resolutions {
                let expected = kernels(path, procfs.raw, O_PATH, resolve)
                #expect(walked(path, procfs.raw, O_PATH, resolve) == expected, "\(path) \(resolve)")
            }
        }
        // Whereas these are links like others.
        #expect(
            walked("self/status", procfs.raw, O_RDONLY, Self.resolutions[0])
                == kernels("self/status", procfs.raw, O_RDONLY, Self.resolutions[0]))
        #expect(walked("mounts", procfs.raw, O_PATH | O_NOFOLLOW, Self.resolutions[0]) != .failed(.loop))
    }

    @Test func otherMountsAreRefused() throws {
        let slash = try File.open("/", O_PATH | O_DIRECTORY)
        #expect(walked("proc/self/status", slash.raw, O_RDONLY, Self.resolutions[3]) == .failed(.crossDevice))
    }

    /// Someone moves a directory out of the root while a walk is in it, and `..` must not follow.
    @Test func renamesMeanwhileLeadNowhere() throws {
        let tree = try Tree()
        try File.makeDirectories("\(tree.path)/root/a/b/c")
        try File.makeDirectories("\(tree.path)/out/x/y/z")
        try File.replace("\(tree.path)/secret", with: Array("secret".utf8), durable: false)
        try File.replace("\(tree.path)/root/secret", with: Array("ours".utf8), durable: false)
        let isDone = Atomic(false)
        let path = tree.path
        let mover = RenamingThread {
            while !isDone.load(ordering: .relaxed) {
                rename("\(path)/root/a/b/c", "\(path)/out/x/c")
                rename("\(path)/out/x/c", "\(path)/root/a/b/c")
            }
        }
        defer { mover.join() }
        defer { isDone.store(true, ordering: .relaxed) }
        var found = 0
        for _ in 0..<20_000 {
            guard
                let file = try? PathWalk.open(
                    "a/b/c/../../../secret", at: tree.root, O_RDONLY, 0, UInt64(RESOLVE_IN_ROOT))
            else { continue }
            found += 1
            #expect(try FD.readAll(file.raw) == Array("ours".utf8))
        }
        #expect(found > 0)
    }
}

private final class RenamingThread {
    private var thread = pthread_t()
    private let body: () -> Void

    init(_ body: @escaping () -> Void) {
        self.body = body
        let this = Unmanaged.passRetained(self).toOpaque()
        pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<RenamingThread>.fromOpaque(argument!).takeRetainedValue().body()
                return nil
            }, this)
    }

    func join() { pthread_join(thread, nil) }
}
