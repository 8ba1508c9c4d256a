import LinuxSystem

/// The time from a disk's being attached to its going away, with the power or without. What is of
/// it in memory alone ends with that.
package struct DiskSession: Sendable, Equatable {
    private let boot: String
    /// Of the disk, in the order in which the kernel met them; nil where nothing tells.
    private let sequence: String?

    package init(boot: String, sequence: String?) {
        self.boot = boot
        self.sequence = sequence
    }

    /// - Parameter directory: one on the disk.
    init(of directory: Int32) throws(SystemError) {
        guard let boot = Boot.id else { throw SystemError("read", Boot.idPath, .noEntry) }
        self.boot = boot
        let device = try FD.stat(directory).st_dev
        // Several disks, or none, stand behind a file system without a device of its own.
        guard gnu_dev_major(device) != 0 else {
            sequence = nil
            return
        }
        let place = "/sys/dev/block/\(gnu_dev_major(device)):\(gnu_dev_minor(device))"
        // Since Linux 5.15. A partition's is its disk's.
        let text = (try? File.readText("\(place)/diskseq")) ?? (try? File.readText("\(place)/../diskseq"))
        sequence = text.map(Self.trimmed)
    }

    private static func trimmed(_ text: String) -> String {
        String(text.prefix { $0 != "\n" })
    }

    /// Whether the end of this one is known from its name.
    var tellsDisks: Bool { sequence != nil }

    var name: String { sequence.map { "\(boot) disk \($0)" } ?? boot }
}
