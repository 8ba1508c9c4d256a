extension FD {
    /// close_range(2).
    /// - Parameter onExec: marks them close-on-exec instead.
    public static func closeRange(
        _ first: Int32, through last: Int32 = .max, onExec: Bool = false
    ) throws(SystemError) {
        let marksOnly = 4
        do throws(SystemError) {
            _ = try checked("close_range") {
                linux_syscall(
                    Int(SYS_close_range), Int(first), Int(last), onExec ? marksOnly : 0, 0, 0, 0)
            }
        } catch  where error.errno == .noSystemCall || error.errno == .invalid {
            // Before Linux 5.9, and 5.11 for the mark.
            for fd in openNumbers(first, last) {
                if onExec { linux_fcntl(fd, F_SETFD, Int(FD_CLOEXEC)) } else { _ = Glibc.close(fd) }
            }
        }
    }

    /// As `closeRange`, with system calls alone: for the child of a process that has threads.
    public static func closeRangePlainly(_ first: Int32) {
        if linux_syscall(Int(SYS_close_range), Int(first), Int(Int32.max), 0, 0, 0, 0) == 0 { return }
        var fd = first
        while fd < possibleCount {
            _ = Glibc.close(fd)
            fd += 1
        }
    }

    /// What fs.nr_open has by default: no table is larger, whatever the limits were when it grew.
    private static let possibleCount: Int32 = 1 << 20

    private static func openNumbers(_ first: Int32, _ last: Int32) -> [Int32] {
        // Only a procfs tells the truth. Where there is none, every possible number may be open.
        guard let procfs = try? Procfs(), let directory = try? procfs.open("self/fd", O_RDONLY | O_DIRECTORY),
            let names = try? File.names(inDirectory: directory.raw)
        else { return Array(first...max(first, min(last, possibleCount))) }
        return names.compactMap { Int32($0) }.filter { $0 >= first && $0 <= last }
    }
}
