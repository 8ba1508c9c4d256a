import LinuxSystem

/// The session keyring of a container's processes (keyctl(2)), so that they have
/// no part in the keys of the session that started them.
enum SessionKeyring {
    static func join(_ name: String) throws(RuntimeError) {
        let joinSession = 1
        let describePermission = 5
        do throws(SystemError) {
            let key = try checked("keyctl") {
                name.withCString {
                    linux_syscall(Int(SYS_keyctl), joinSession, Int(bitPattern: $0), 0, 0, 0, 0)
                }
            }
            // Possessor: all; user: view, read, search: `exec` joins the keyring by its name.
            _ = try checked("keyctl") {
                linux_syscall(Int(SYS_keyctl), describePermission, key, 0x3f0b_0000, 0, 0, 0)
            }
        } catch  where error.errno == .noSystemCall || error.errno == .notPermitted {
            // A kernel without keys, or a sandbox around us that forbids them.
        } catch  where error.errno == .accessDenied {
            // The keyring of that name belongs to another: leave the process with none of ours.
        } catch {
            throw RuntimeError(.system, "join the session keyring", cause: error)
        }
    }
}
