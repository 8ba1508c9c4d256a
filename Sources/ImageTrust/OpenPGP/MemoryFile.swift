internal import LinuxSystem

/// A file without a name, in memory (memfd_create(2)): what another program reads must not be
/// changed, nor be left behind, by anybody.
enum MemoryFile {
    private static let closeOnExec: UInt32 = 1

    static func make(_ contents: [UInt8]) throws(SystemError) -> Descriptor {
        let file = Descriptor(
            owning: try retrying("memfd_create") { memfd_create("apus", closeOnExec) })
        try FD.writeAll(file.raw, contents)
        lseek(file.raw, 0, SEEK_SET)
        return file
    }
}
