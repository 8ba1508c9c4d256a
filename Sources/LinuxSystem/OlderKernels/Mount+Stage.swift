/// The calls of `Mount` by mount(2), with a stage.
extension Mount {
    /// What is made without a place is made here, where the kernel needs it. The programs that
    /// mount have one thread.
    nonisolated(unsafe) private static var stage: MountStage?

    public static func use(_ stage: MountStage) { Self.stage = stage }
    public static func leaveStage() { stage = nil }
    static var hasStage: Bool { stage != nil }
    /// The stage's descriptor, for another process in the same mount namespace.
    public static var stageDescriptor: Int32? { stage?.raw }

    static func onStage(
        directory: Bool, _ body: (_ place: String) throws(SystemError) -> Void
    ) throws(SystemError) -> Descriptor {
        guard let stage else { throw SystemError("mount", "", .noSystemCall) }
        return try stage.mounting(directory: directory, body)
    }

    static func cloneOnStage(_ source: Int32, recursive: Bool, _ path: String) throws(SystemError)
        -> Descriptor
    {
        let isDirectory = try FD.stat(source).st_mode & S_IFMT == S_IFDIR
        let flags = UInt(MS_BIND) | (recursive ? UInt(MS_REC) : 0)
        return try onStage(directory: isDirectory) { (place) throws(SystemError) in
            _ = try retrying("bind", path) { mount("/proc/self/fd/\(source)", place, nil, flags, nil) }
        }
    }

    static func move(_ mount: Int32, onto target: Int32) throws(SystemError) {
        _ = try retrying("move mount") {
            CLinux.mount("/proc/self/fd/\(mount)", "/proc/self/fd/\(target)", nil, UInt(MS_MOVE), nil)
        }
    }

    // MARK: - Changing

    /// Shows a directory elsewhere.
    public static func bind(_ source: String, onto target: String) throws(SystemError) {
        _ = try retrying("bind mount", target) { mount(source, target, nil, UInt(MS_BIND), nil) }
    }

    /// Shows a directory at another place, to read only. For an instant it can be written there.
    public static func bindReadOnly(_ source: String, onto target: String) throws(SystemError) {
        try bind(source, onto: target)
        do throws(SystemError) {
            _ = try retrying("remount", target) {
                mount(nil, target, nil, UInt(MS_REMOUNT | MS_BIND | MS_RDONLY), nil)
            }
        } catch {
            umount2(target, Int32(MNT_DETACH))
            throw error
        }
    }

    static func changeInPlace(
        _ mount: Int32, _ attributes: Attributes, propagation: UInt64, recursive: Bool
    ) throws(SystemError) {
        if propagation != 0 {
            let flags = UInt(propagation) | (recursive ? UInt(MS_REC) : 0)
            try reach(mount) { (path) throws(SystemError) in
                _ = try retrying("set propagation") { CLinux.mount(nil, path, nil, flags, nil) }
            }
        }
        guard !attributes.isEmpty else { return }
        try remount(mount, attributes)
        if recursive { for below in try mounts(below: mount) { try remount(below.raw, attributes) } }
    }

    /// In place of what fspick(2) gives; and fails, as that does, where there is no mount.
    static func nothing(picking mount: Int32) throws(SystemError) -> Descriptor {
        try remount(mount, Attributes())
        return Descriptor(owning: -1)
    }

    private static func remount(_ mount: Int32, _ attributes: Attributes) throws(SystemError) {
        let flags = UInt(MS_REMOUNT | MS_BIND) | attributes.changing(try flags(of: mount))
        try reach(mount) { (path) throws(SystemError) in
            _ = try retrying("remount") { CLinux.mount(nil, path, nil, flags, nil) }
        }
    }

    /// The superblock's options, by mount(2).
    static func reconfigure(_ mount: Int32, _ flags: UInt, _ data: String) throws(SystemError) {
        let flags = UInt(MS_REMOUNT) | flags | Attributes().changing(try Self.flags(of: mount))
        try reach(mount) { (path) throws(SystemError) in
            _ = try retrying("reconfigure file system") { CLinux.mount(nil, path, nil, flags, data) }
        }
    }

    /// A directory without /proc, which may be the container's by now.
    private static func reach(
        _ fd: Int32, _ body: (_ path: String) throws(SystemError) -> Void
    ) throws(SystemError) {
        guard try FD.stat(fd).st_mode & S_IFMT == S_IFDIR else { return try body("/proc/self/fd/\(fd)") }
        let here = try File.open(".", O_PATH | O_DIRECTORY)
        _ = try retrying("fchdir") { fchdir(fd) }
        defer { fchdir(here.raw) }
        try body(".")
    }

    private static func flags(of fd: Int32) throws(SystemError) -> UInt {
        var status = statfs()
        _ = try retrying("fstatfs", "descriptor \(fd)") { fstatfs(fd, &status) }
        return UInt(status.f_flags)
    }

    /// The mounts below a mount, by their descriptors. One that is covered by another is that other.
    private static func mounts(below top: Int32) throws(SystemError) -> [HeldMount] {
        let table = try File.readText("/proc/self/mountinfo").split(separator: "\n").map {
            $0.split(separator: " ", maxSplits: 5).map(String.init)
        }
        let own = try identifier(of: top)
        guard let line = table.first(where: { $0[0] == own }) else { return [] }
        var family: Set<String> = [own]
        var found: [HeldMount] = []
        // A mount stands after the one that it is mounted on, unless that was moved: look again.
        while true {
            let next = table.filter { !family.contains($0[0]) && family.contains($0[1]) }
            if next.isEmpty { return found }
            for entry in next {
                family.insert(entry[0])
                let above = line[4] == "/" ? "" : line[4]
                guard entry[4].utf8.count > above.utf8.count + 1, entry[4].hasPrefix(above + "/") else {
                    continue
                }
                let path = unescape(entry[4].utf8.dropFirst(above.utf8.count + 1))
                found.append(HeldMount(try File.openRaw(path, beneath: top, O_PATH)))
            }
        }
    }

    private final class HeldMount {
        let descriptor: Descriptor
        var raw: Int32 { descriptor.raw }
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    }

    /// The mount's number (proc(5), /proc/PID/fdinfo).
    private static func identifier(of fd: Int32) throws(SystemError) -> String {
        for line in try File.readText("/proc/self/fdinfo/\(fd)").split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            if words.count == 2, words[0] == "mnt_id:" { return String(words[1]) }
        }
        throw SystemError("identify mount", "descriptor \(fd)", .notSupported)
    }

    /// `\040` for a space and the like (proc(5), mountinfo).
    private static func unescape(_ text: some Sequence<UInt8>) -> [CChar] {
        let bytes = Array(text)
        var path: [CChar] = []
        var at = 0
        while at < bytes.count {
            if bytes[at] == UInt8(ascii: "\\"), at + 3 < bytes.count,
                let value = UInt8(String(decoding: bytes[(at + 1)...(at + 3)], as: UTF8.self), radix: 8)
            {
                path.append(CChar(bitPattern: value))
                at += 4
            } else {
                path.append(CChar(bitPattern: bytes[at]))
                at += 1
            }
        }
        return path + [0]
    }
}

extension Mount.Attributes {
    /// The attribute's bit, mount(2)'s flag, and statfs(2)'s.
    private static let bits: [(attribute: UInt64, flag: UInt, status: UInt)] = [
        (UInt64(MOUNT_ATTR_RDONLY), UInt(MS_RDONLY), 1), (UInt64(MOUNT_ATTR_NOSUID), UInt(MS_NOSUID), 2),
        (UInt64(MOUNT_ATTR_NODEV), UInt(MS_NODEV), 4), (UInt64(MOUNT_ATTR_NOEXEC), UInt(MS_NOEXEC), 8),
        (UInt64(MOUNT_ATTR_NODIRATIME), UInt(MS_NODIRATIME), 2048),
        (UInt64(MOUNT_ATTR_NOSYMFOLLOW), 256, 0x2000),
    ]

    /// mount(2)'s flags for a mount that has these ones of statfs(2), changed.
    func changing(_ status: UInt) -> UInt {
        var flags: UInt = 0
        for bit in Self.bits
        where added & bit.attribute != 0 || status & bit.status != 0 && cleared & bit.attribute == 0 {
            flags |= bit.flag
        }
        let accessTime = UInt64(MOUNT_ATTR__ATIME)
        if cleared & accessTime == accessTime || added & accessTime != 0 {
            switch added & accessTime {
            case UInt64(MOUNT_ATTR_NOATIME): return flags | UInt(MS_NOATIME)
            case UInt64(MOUNT_ATTR_STRICTATIME): return flags | UInt(MS_STRICTATIME)
            default: return flags | UInt(MS_RELATIME)
            }
        }
        if status & 1024 != 0 { return flags | UInt(MS_NOATIME) }
        return flags | UInt(status & 4096 != 0 ? MS_RELATIME : MS_STRICTATIME)
    }

    /// For a new mount.
    var flags: UInt { changing(4096) }
}

/// What a `Mount.Context` has been told, for mount(2).
final class MountContextOptions {
    let type: String
    private var source: String?
    private var flags: UInt = 0
    private var data: [String] = []
    /// The mount to change; nil makes one.
    private let mounted: Int32?

    init(type: String, mounted: Int32? = nil) {
        self.type = type
        self.mounted = mounted
    }

    func set(_ key: String, _ value: String?) {
        guard let value else {
            switch key {
            case "ro": flags |= UInt(MS_RDONLY)
            case "rw": flags &= ~UInt(MS_RDONLY)
            case "sync": flags |= UInt(MS_SYNCHRONOUS)
            case "dirsync": flags |= UInt(MS_DIRSYNC)
            case "mand": flags |= UInt(MS_MANDLOCK)
            case "lazytime": flags |= UInt(1) << 25
            default: data.append(key)
            }
            return
        }
        if key == "source" { source = value } else { data.append("\(key)=\(value)") }
    }

    func mount(attributes: UInt64) throws(SystemError) -> Descriptor {
        // Read-only is the mount here, not the file system, of which there may be other mounts.
        let isReadOnly = attributes & UInt64(MOUNT_ATTR_RDONLY) != 0
        let first = Mount.Attributes(adding: attributes & ~UInt64(MOUNT_ATTR_RDONLY))
        let text = data.joined(separator: ",")
        let made = try Mount.onStage(directory: true) { (place) throws(SystemError) in
            _ = try retrying("create file system", type) {
                CLinux.mount(source ?? "none", place, type, flags | first.flags, text)
            }
        }
        if isReadOnly {
            try Mount.changeInPlace(made.raw, .readOnly, propagation: 0, recursive: false)
        }
        return made
    }

    func reconfigure() throws(SystemError) {
        guard let mounted else { return }
        try Mount.reconfigure(mounted, flags, data.joined(separator: ","))
    }
}
