/// The host's procfs, held open so that what is written reaches the kernel and
/// not a file that someone mounted or planted in between.
///
/// Open it before any namespace of a container is entered. `/proc/self` and the
/// sysctls act on the caller's namespaces whichever instance they are reached
/// through.
public struct Procfs: ~Copyable, Sendable {
    private let root: Descriptor
    public var raw: Int32 { root.raw }

    static let magic = 0x9fa0
    /// A procfs's root directory has this inode number, its subdirectories have not.
    private static let rootInode: ino_t = 1

    /// - Throws: EXDEV when /proc is no procfs.
    public init() throws(SystemError) {
        let opened = try File.open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW)
        let type = try Mount.fileSystemType(of: opened.raw)
        guard type == Self.magic, try FD.stat(opened.raw).st_ino == Self.rootInode else {
            throw SystemError("verify procfs", "/proc", .crossDevice)
        }
        root = opened
    }

    /// An opened one that a process made by clone(2) has from its parent.
    public init(inheriting raw: Int32) { root = Descriptor(owning: raw) }

    /// Opens a file below, refusing to leave this very mount: another mount over
    /// a part of it, a magic link or `..` fails.
    public func open(_ path: String, _ flags: Int32) throws(SystemError) -> Descriptor {
        try File.open(
            onSameMount: path, at: root.raw, flags)
    }

    /// Writes a text into a file in one write(2).
    public func write(_ text: String, to path: String) throws(SystemError) {
        let file = try open(path, O_WRONLY)
        do throws(SystemError) {
            try FD.writeAll(file.raw, text)
        } catch {
            throw SystemError("write", "/proc/\(path)", error.errno)
        }
    }
}
