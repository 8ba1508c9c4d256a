import LinuxSystem

// Usage: older-kernel COMMAND ARGUMENT…
//
// Executes a command for which, and for all that it starts, the system calls that came with the
// new mount API and after it do not exist: what Linux 5.1 has, where it takes 5.4 to run us. From
// 424 on every architecture has the same numbers (man 2 syscalls).

/// open_tree(2). Before it came pidfd_send_signal(2) and io_uring(7), which stay.
let firstMissing: UInt32 = 428

/// struct sock_filter (linux/filter.h): the code, two jumps, a value.
func instruction(_ code: UInt16, _ value: UInt32, onTrue: UInt8 = 0, onFalse: UInt8 = 0) -> UInt64 {
    UInt64(code) | UInt64(onTrue) << 16 | UInt64(onFalse) << 24 | UInt64(value) << 32
}

let load: UInt16 = 0x20
let jumpIfNotBelow: UInt16 = 0x35
let answer: UInt16 = 0x06
let filter = [
    instruction(load, 0),  // struct seccomp_data: the number
    instruction(jumpIfNotBelow, firstMissing, onTrue: 0, onFalse: 1),
    instruction(answer, 0x0005_0000 | UInt32(ENOSYS)),  // SECCOMP_RET_ERRNO
    instruction(answer, 0x7fff_0000),  // SECCOMP_RET_ALLOW
]

func fail(_ what: String) -> Never {
    try? FD.writeAll(2, "older-kernel: \(what)\n")
    exit(125)
}

let arguments = CommandLine.arguments.dropFirst()
guard let command = arguments.first else { fail("no command") }
// By CAP_SYS_ADMIN, without no_new_privs: programs that change rights are to work.
let result = filter.withUnsafeBytes { instructions in
    // struct sock_fprog: a count and a pointer.
    let header = [UInt(filter.count), UInt(bitPattern: instructions.baseAddress)]
    return header.withUnsafeBytes {
        linux_syscall(Int(SYS_seccomp), 1, 0, Int(bitPattern: $0.baseAddress), 0, 0, 0)
    }
}
guard result == 0 else { fail("install the seccomp filter: \(Errno(Int32(-result)))") }
var vector = arguments.map { strdup($0) } + [nil]
execvp(command, &vector)
fail("execute \(command): \(Errno.current)")
