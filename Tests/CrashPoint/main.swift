import CLinux
import LinuxSystem

// Usage: crash-point [--kill-at N] [--sync-at N] [--kill-rest] [--report FILE] COMMAND ARGUMENT…
//
// Executes a command and counts the system calls by which it, and all that it starts, changes what
// is on disk. Before the Nth, every one of these processes is killed (exit status 137): what the
// command leaves is what a power cut at that instant would leave to who mounts the disk again, but
// for what the kernel had not written yet; `--sync-at` has the kernel write everything before an
// earlier call. Without `--kill-at` the command runs to its end; with `--kill-rest` what it started, and
// still runs then, is killed. The report is the count.

func fail(_ what: String) -> Never {
    try? FD.writeAll(2, "crash-point: \(what)\n")
    exit(125)
}

// MARK: Arguments

var killAt = Int.max
var syncAt = Int.max
var killsRest = false
var report: String?
var arguments = Array(CommandLine.arguments.dropFirst())
while let option = arguments.first, option.hasPrefix("--") {
    if option == "--kill-rest" {
        killsRest = true
        arguments.removeFirst()
        continue
    }
    guard arguments.count > 1 else { fail("\(option) needs a value") }
    let value = arguments[1]
    switch option {
    case "--kill-at": killAt = Int(value) ?? 0
    case "--sync-at": syncAt = Int(value) ?? 0
    case "--report": report = value
    default: fail("unknown option \(option)")
    }
    arguments.removeFirst(2)
}
guard !arguments.isEmpty, killAt > 0, syncAt > 0 else { fail("no command, or a number below 1") }

// MARK: The filter

/// struct sock_filter (linux/filter.h): the code, two jumps, a value.
func instruction(_ code: UInt16, _ value: UInt32, onTrue: UInt8 = 0, onFalse: UInt8 = 0) -> UInt64 {
    UInt64(code) | UInt64(onTrue) << 16 | UInt64(onFalse) << 24 | UInt64(value) << 32
}

/// SECCOMP_RET_TRACE stops the caller before the call for these alone, so everything else runs at
/// full speed. Of openat(2) only what creates or truncates; the flags of openat2(2) are in memory,
/// which a filter cannot read, so all its calls count.
func filter() -> [UInt64] {
    let (load, jumpIfEqual, jumpIfAnySet, answer): (UInt16, UInt16, UInt16, UInt16) = (0x20, 0x15, 0x45, 0x06)
    let allow = instruction(answer, 0x7fff_0000)
    let trace = instruction(answer, 0x7ff0_0000)
    var program = [instruction(load, 0)]  // struct seccomp_data: the number
    program += [
        instruction(jumpIfEqual, UInt32(SYS_openat), onTrue: 0, onFalse: 4),
        instruction(load, 32),  // The low half of the third argument.
        instruction(jumpIfAnySet, UInt32(O_CREAT | O_TRUNC | __O_TMPFILE), onTrue: 0, onFalse: 1),
        trace, allow,
    ]
    let calls = [
        SYS_openat2, SYS_write, SYS_writev, SYS_pwrite64, SYS_pwritev, SYS_pwritev2, SYS_sendfile, SYS_splice,
        SYS_copy_file_range, SYS_truncate, SYS_ftruncate, SYS_fallocate, SYS_fsync, SYS_fdatasync, SYS_syncfs,
        SYS_sync_file_range, SYS_msync, SYS_renameat, SYS_renameat2, SYS_unlinkat, SYS_mkdirat, SYS_linkat,
        SYS_symlinkat, SYS_mknodat, SYS_fchmod, SYS_fchmodat, SYS_fchown, SYS_fchownat, SYS_utimensat,
        SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr,
        SYS_mount, SYS_move_mount, SYS_umount2,
    ]
    for call in calls + oldCalls {
        program += [instruction(jumpIfEqual, UInt32(call), onTrue: 0, onFalse: 1), trace]
    }
    return program + [allow]
}

#if arch(x86_64)
    let oldCalls = [
        SYS_creat, SYS_rename, SYS_unlink, SYS_mkdir, SYS_rmdir, SYS_link, SYS_symlink, SYS_mknod, SYS_chmod,
        SYS_chown, SYS_lchown,
    ]
#else
    let oldCalls: [Int32] = []
#endif

// MARK: The command

let (PTRACE_CONT, PTRACE_SEIZE, PTRACE_LISTEN) = (7, 0x4206, 0x4208)
let (eventSeccomp, eventStop): (Int32, Int32) = (7, 128)
/// PTRACE_O_TRACEFORK, TRACEVFORK, TRACECLONE and TRACESECCOMP.
let followsChildren = 0x02 | 0x04 | 0x08 | 0x80

@discardableResult
func trace(_ request: Int, _ process: pid_t, _ data: Int = 0) -> Int {
    linux_syscall(Int(SYS_ptrace), request, Int(process), 0, data, 0, 0)
}

var gate: [Int32] = [0, 0]
guard pipe2(&gate, O_CLOEXEC) == 0 else { fail("make a pipe: \(Errno.current)") }
let program = filter()
var vector = arguments.map { strdup($0) } + [nil]
let command = linux_fork()
guard command >= 0 else { fail("fork: \(Errno(-command))") }
if command == 0 {
    var byte: UInt8 = 0
    _ = read(gate[0], &byte, 1)
    let result = program.withUnsafeBytes { instructions in
        let header = [UInt(program.count), UInt(bitPattern: instructions.baseAddress)]
        return header.withUnsafeBytes {
            linux_syscall(Int(SYS_seccomp), 1, 0, Int(bitPattern: $0.baseAddress), 0, 0, 0)
        }
    }
    guard result == 0 else { fail("install the seccomp filter: \(Errno(Int32(-result)))") }
    execvp(arguments[0], &vector)
    fail("execute \(arguments[0]): \(Errno.current)")
}
guard trace(PTRACE_SEIZE, command, followsChildren) == 0 else { fail("trace the command") }
_ = write(gate[1], "g", 1)

// MARK: The loop

var count = 0
var status: Int32 = 0
/// Threads that are known, any of which may be its process' first.
var threads: Set<pid_t> = [command]
var wasKilled = false
var isOver = false

while true {
    var state: Int32 = 0
    let process = waitpid(-1, &state, __WALL)
    if process < 0 {
        if Errno.current == .interrupted { continue }
        break
    }
    guard state & 0xff == 0x7f else {
        threads.remove(process)
        if process == command {
            status = state
            isOver = killsRest
            if isOver { for thread in threads { kill(thread, SIGKILL) } }
        }
        continue
    }
    threads.insert(process)
    // It was started just before the end.
    if isOver { kill(process, SIGKILL) }
    let signal = state >> 8 & 0xff
    switch state >> 16 {
    case eventSeccomp:
        count += 1
        if count == syncAt { sync() }
        if count >= killAt {
            wasKilled = true
            // Nobody of them may see another's end and clean up.
            for thread in threads { kill(thread, SIGKILL) }
        } else {
            trace(PTRACE_CONT, process)
        }
    case eventStop where signal != SIGTRAP:
        trace(PTRACE_LISTEN, process)
    case 0:
        trace(PTRACE_CONT, process, Int(signal))
    default:
        if wasKilled { kill(process, SIGKILL) }
        trace(PTRACE_CONT, process)
    }
}
if let report { try? File.replace(report, with: Array("\(count)\n".utf8), durable: false) }
if wasKilled { exit(128 + SIGKILL) }
exit(status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f)
