import LinuxSystem

/// The last program of ours that a container's process executes: a few dozen
/// bytes of machine code and a list of system calls that end in execve(2).
///
/// The reason is CVE-2019-5736. A hostile image or container can make the
/// command that we execute resolve to `/proc/self/exe` (by a link, or by
/// `#!/proc/self/exe` in a script). If this process were the runtime's own
/// program then, the kernel would execute the host's runtime binary *inside*
/// the container, as a process that others there may inspect; they could open
/// its `/proc/PID/exe` and later write to the host's file through it. Not
/// being dumpable does not help, because execve(2) makes a process dumpable
/// again and may always follow its own `/proc/self/exe`. The usual remedy
/// copies the whole runtime into a sealed memfd and executes it anew for every
/// container.
///
/// Here only the last step moves: this image of about one page goes into a
/// sealed memfd and is executed, and what is left to do (the user, the
/// capabilities, seccomp, the command) are system calls that need no memory of
/// ours. From then on `/proc/self/exe` leads to an anonymous file of that one
/// page that can neither be written nor reach the host. The order of rights is
/// that of a direct execve(2): root's capabilities are recomputed from the
/// same bounding and inheritable sets twice with the same result
/// (capabilities(7), "Transformation of capabilities during execve()").
///
/// Layout of the file, all of it one read-only, executable segment:
///
///     0x000  ELF header, one program header
///     0x078  the code
///     0x1f0  address of the table of calls
///     0x1f8  descriptor that failures are reported on
///     0x200  data: strings, vectors, filters
///     …      table: {number, six arguments, stage} each
struct LaunchProgram {
    /// What a call is for, as the reports name it.
    struct Stage: Equatable {
        var rawValue: UInt32

        static let descriptors = Stage(rawValue: 1)
        static let noNewPrivileges = Stage(rawValue: 2)
        static let boundingSet = Stage(rawValue: 3)
        static let keepCapabilities = Stage(rawValue: 4)
        static let groups = Stage(rawValue: 5)
        static let group = Stage(rawValue: 6)
        static let user = Stage(rawValue: 7)
        static let capabilities = Stage(rawValue: 8)
        static let ambientCapabilities = Stage(rawValue: 9)
        static let umask = Stage(rawValue: 10)
        static let seccomp = Stage(rawValue: 11)
        static let report = Stage(rawValue: 12)
        static let execute = Stage(rawValue: 13)
        static let agent = Stage(rawValue: 14)
        static let workingDirectory = Stage(rawValue: 15)
        /// A resource limit, by the kernel's number.
        static func limit(_ resource: Int32) -> Stage { Stage(rawValue: 64 + UInt32(resource)) }

        var description: String {
            switch self {
            case .descriptors: "prepare descriptors"
            case .noNewPrivileges: "set no_new_privs"
            case .boundingSet: "drop capability from the bounding set"
            case .keepCapabilities: "keep capabilities"
            case .groups: "set additional groups"
            case .group: "set group ID"
            case .user: "set user ID"
            case .capabilities: "set capabilities"
            case .ambientCapabilities: "raise ambient capability"
            case .umask: "set umask"
            case .seccomp: "install seccomp filter"
            case .report: "report"
            case .execute: "exec"
            case .agent: "send the seccomp listener to its agent"
            case .workingDirectory: "chdir to cwd set in config.json failed"
            case let stage where (64..<80).contains(stage.rawValue):
                "error setting rlimit \(ProcessPlan.resources[Int(stage.rawValue) - 64])"
            default: "launch"
            }
        }
    }

    /// The eight bytes that the code sends when a call fails.
    struct Failure: Equatable {
        var errno: Errno
        var stage: Stage

        init(_ bytes: [UInt8]) {
            errno = Errno(Int32(bitPattern: Self.word(bytes[0..<4])))
            stage = Stage(rawValue: Self.word(bytes[4..<8]))
        }

        private static func word(_ bytes: ArraySlice<UInt8>) -> UInt32 {
            bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
        }
    }

    private static let base: UInt64 = 0x40_0000
    private static let codeOffset = 0x78
    private static let tableAddressOffset = 0x1f0
    private static let reportOffset = 0x1f8
    private static let dataOffset = 0x200

    private var image: [UInt8]
    private var calls: [UInt64] = []

    /// - Parameter report: a socket that is open, and not close-on-exec, in the new image.
    init(report: Int32) {
        image = []
        image.reserveCapacity(16 << 10)
        image.append(contentsOf: repeatElement(0, count: Self.dataOffset))
        image.replaceSubrange(Self.codeOffset..<(Self.codeOffset + Self.code.count), with: Self.code)
        put(UInt64(UInt32(bitPattern: report)), at: Self.reportOffset)
        calls.reserveCapacity(128 * 8)
    }

    /// Adds a call. A failure ends the program with a report, unless `tolerated`.
    mutating func call(_ number: Int, _ arguments: UInt64..., stage: Stage, tolerated: Bool = false) {
        calls.append(UInt64(number))
        calls.append(contentsOf: arguments)
        calls.append(contentsOf: repeatElement(0, count: 6 - arguments.count))
        calls.append(UInt64(stage.rawValue) | (tolerated ? 1 << 63 : 0))
    }

    /// Adds data.
    /// - Returns: its address in the new image, a multiple of eight.
    mutating func store(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        align()
        let address = Self.base + UInt64(image.count)
        image.append(contentsOf: bytes)
        return address
    }

    mutating func store(_ text: String) -> UInt64 {
        let address = Self.base + UInt64(image.count)
        image.append(contentsOf: text.utf8)
        image.append(0)
        return address
    }

    mutating func store(words: [UInt64]) -> UInt64 { words.withUnsafeBytes { store($0) } }

    /// A vector of strings as execve(2) takes it.
    mutating func store(vector: [String]) -> UInt64 {
        var words: [UInt64] = []
        words.reserveCapacity(vector.count + 1)
        for text in vector { words.append(store(text)) }
        words.append(0)
        return store(words: words)
    }

    private mutating func align() {
        while image.count & 7 != 0 { image.append(0) }
    }

    private mutating func put(_ value: UInt64, at offset: Int) {
        withUnsafeBytes(of: value.littleEndian) {
            for (position, byte) in $0.enumerated() { image[offset + position] = byte }
        }
    }

    /// Becomes the program. On return it has failed.
    mutating func execute() throws(SystemError) -> Never {
        align()
        put(Self.base + UInt64(image.count), at: Self.tableAddressOffset)
        calls.withUnsafeBytes { image.append(contentsOf: $0) }
        writeHeaders()

        let file = try Self.makeFile()
        let raw = file.raw
        try FD.writeAll(raw, image)
        _ = try checked("seal launch program") {
            linux_fcntl(raw, F_ADD_SEALS, Int(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
        }
        var arguments: [UnsafePointer<CChar>?] = [nil, nil]
        _ = try checked("execute launch program") {
            "".withCString { empty in
                "apus".withCString { name in
                    arguments[0] = name
                    return arguments.withUnsafeBufferPointer { argv in
                        linux_syscall(
                            Int(SYS_execveat), Int(raw), Int(bitPattern: empty),
                            Int(bitPattern: argv.baseAddress), Int(bitPattern: argv.baseAddress! + 1),
                            Int(AT_EMPTY_PATH), 0)
                    }
                }
            }
        }
        throw SystemError("execute launch program", "", .execFormat)
    }

    private static func makeFile() throws(SystemError) -> Descriptor {
        let closeOnExec: UInt32 = 1
        let allowSealing: UInt32 = 2
        /// Linux 6.3; without it, vm.memfd_noexec may make the file unexecutable.
        let executable: UInt32 = 16
        do throws(SystemError) {
            return Descriptor(
                owning: try retrying("memfd_create") {
                    memfd_create("apus", closeOnExec | allowSealing | executable)
                })
        } catch  where error.errno == .invalid {
            return Descriptor(
                owning: try retrying("memfd_create") { memfd_create("apus", closeOnExec | allowSealing) })
        }
    }

    private mutating func writeHeaders() {
        let entry = Self.base + UInt64(Self.codeOffset)
        // e_ident, then e_type ET_EXEC, e_machine, e_version
        put(0x0001_0102_464c_457f, at: 0)
        put(UInt64(2) | UInt64(Self.machine) << 16 | 1 << 32, at: 16)
        put(entry, at: 24)
        put(64, at: 32)  // e_phoff
        put(64 << 32 | 56 << 48, at: 48)  // e_flags, e_ehsize, e_phentsize
        put(1, at: 56)  // e_phnum
        put(1 | 5 << 32, at: 64)  // PT_LOAD, PF_R | PF_X
        put(0, at: 72)
        put(Self.base, at: 80)
        put(Self.base, at: 88)
        put(UInt64(image.count), at: 96)
        put(UInt64(image.count), at: 104)
        put(0x10000, at: 112)
    }
}
