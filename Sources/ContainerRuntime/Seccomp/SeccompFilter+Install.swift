public import LinuxSystem

extension SeccompFilter {
    /// Puts this thread, and all that it starts, under the filter: for good.
    ///
    /// The caller has set no_new_privs, or has CAP_SYS_ADMIN (seccomp(2)). After
    /// this every system call of the caller passes the filter too, so it should be
    /// the last step before execve(2).
    /// - Returns: with `SCMP_ACT_NOTIFY` in the profile, the listener. It is
    ///   close-on-exec, and the calls on it may be held up by the filter itself:
    ///   have the parent fetch it by its number with pidfd_getfd(2).
    public func install() throws(SeccompError) -> Descriptor? {
        do throws(SystemError) {
            let result: Int
            do throws(SystemError) {
                result = try load(flags)
            } catch  where flagsAreOptional && error.errno == .invalid {
                // A kernel before 4.17 has no SPEC_ALLOW.
                result = try load(notifies ? Flag.newListener : 0)
            }
            return notifies ? Descriptor(owning: Int32(result)) : nil
        } catch {
            throw .system(error)
        }
    }

    /// struct sock_fprog (linux/filter.h).
    private struct Program {
        var count: UInt16
        var instructions: UnsafeRawPointer?
    }

    private func load(_ flags: UInt32) throws(SystemError) -> Int {
        let setModeFilter = 1
        return try checked("install the seccomp filter") {
            program.withUnsafeBytes { instructions in
                var header = Program(count: UInt16(program.count), instructions: instructions.baseAddress)
                return withUnsafeMutablePointer(to: &header) {
                    linux_syscall(
                        Int(SYS_seccomp), setModeFilter, Int(flags), Int(bitPattern: $0), 0, 0, 0)
                }
            }
        }
    }
}
