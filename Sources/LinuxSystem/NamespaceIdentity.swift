/// The time since the machine was started.
public enum Boot {
    /// Another each time (proc_sys_kernel(5)); nil where /proc is not mounted.
    public static let id: String? = (try? File.read(idPath, limit: 64)).map {
        String(decoding: $0.prefix { $0 != 0x0A }, as: UTF8.self)
    }

    public static let idPath = "/proc/sys/kernel/random/boot_id"
}

/// A namespace for which no other is taken as long as it lives (namespaces(7)).
public struct NamespaceIdentity: Sendable, Equatable {
    /// Its file's inode, which another gets once it is gone.
    public let number: UInt64
    public let bootID: String

    /// The calling thread's.
    /// - Parameter name: in /proc/PID/ns.
    /// - Returns: nil where /proc is not mounted.
    public init?(own name: String) {
        guard let bootID = Boot.id, let status = try? File.status("/proc/thread-self/ns/\(name)") else {
            return nil
        }
        number = UInt64(status.st_ino)
        self.bootID = bootID
    }

    /// - Parameter text: what `text` gave.
    public init?(text: some StringProtocol) {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 2, let number = UInt64(parts[0]), !parts[1].isEmpty else { return nil }
        self.number = number
        bootID = String(parts[1])
    }

    public var text: String { "\(number) \(bootID)" }

    /// Whether what was made in this namespace and is not seen in another one is gone.
    public func isSeen(from other: NamespaceIdentity) -> Bool {
        bootID != other.bootID || number == other.number
    }
}
