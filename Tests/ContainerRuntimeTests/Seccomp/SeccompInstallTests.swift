import JSONText
import LinuxSystem
import OCISpec
import Testing

@testable import ContainerRuntime

@_silgen_name("fork") private func libraryFork() -> pid_t

/// fork(3) as the C library has it: other threads' locks on its heap are free in
/// the child. It is not offered to Swift, whose runtime has locks of its own, so
/// the child should do little, and nothing for the first time.
func forked() -> Int32 { libraryFork() }

/// Runs code in a child process.
/// - Returns: the child's wait status.
func inChild(_ body: () -> Int32) throws -> Int32 {
    // Whatever installing has to set up once is set up here.
    let nothing = SeccompFilter(program: [], flags: 0, flagsAreOptional: false, notifies: false)
    #expect(throws: SeccompError.self) { _ = try nothing.install() }
    let child = forked()
    if child == 0 { _exit(body()) }
    try #require(child > 0)
    var status: Int32 = 0
    while waitpid(pid_t(child), &status, 0) < 0 { try #require(Errno.current == .interrupted) }
    return status
}

/// The kernel's own view of the filters.
@Suite struct SeccompInstallTests {
    private func installs(_ filter: SeccompFilter) -> Bool {
        do {
            _ = try filter.install()
            return true
        } catch {
            return false
        }
    }

    private func refused(_ number: Int32, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0) -> Int32 {
        Int32(-linux_syscall(Int(number), a, b, c, 0, 0, 0))
    }

    @Test func defaultProfileInForce() throws {
        let filter = try SeccompFilter.compile(.defaultProfile(capabilities: ["CAP_CHOWN"]))
        let status = try inChild {
            _ = linux_syscall(Int(SYS_prctl), Int(PR_SET_NO_NEW_PRIVS), 1, 0, 0, 0, 0)
            guard installs(filter) else { return 100 }
            // Each check has its exit code.
            if getpid() <= 0 { return 1 }
            if refused(Int32(SYS_unshare), Int(CLONE_NEWUSER)) != EPERM { return 2 }
            if refused(Int32(SYS_clone3)) != ENOSYS { return 3 }
            if refused(600) != ENOSYS { return 4 }
            if refused(Int32(SYS_mount)) != EPERM { return 5 }
            if refused(Int32(SYS_personality), 0xFFFF_FFFF) > 0 { return 6 }
            if refused(Int32(SYS_personality), 0x0400_0000) != EPERM { return 7 }
            if refused(Int32(SYS_socket), 40, 1) != EPERM { return 8 }
            // The kernel takes an int and drops the upper half: 40 again.
            if refused(Int32(SYS_socket), 0x1_0000_0028, 1) != EPERM { return 9 }
            if refused(Int32(SYS_socket), 38, 5) != EPERM { return 10 }
            if refused(Int32(SYS_socket), 1, 1) > 0 { return 11 }
            if refused(Int32(SYS_clone), Int(CLONE_NEWNS | SIGCHLD)) != EPERM { return 12 }
            if refused(Int32(SYS_io_uring_setup)) != EPERM { return 13 }
            return 0
        }
        #expect(status == 0, "exit code \(status >> 8)")
    }

    @Test func killProcessKills() throws {
        var profile = Seccomp(defaultAction: .allow)
        profile.syscalls = [Seccomp.Syscall(names: ["getppid"], action: .killProcess)]
        let filter = try SeccompFilter.compile(profile)
        let status = try inChild {
            _ = linux_syscall(Int(SYS_prctl), Int(PR_SET_NO_NEW_PRIVS), 1, 0, 0, 0, 0)
            guard installs(filter) else { return 100 }
            _ = getppid()
            return 0
        }
        #expect(status & 0x7F == SIGSYS)
    }

    @Test func kernelTakesEveryShape() throws {
        for capabilities in [Set<String>(), ["CAP_SYS_ADMIN", "CAP_SYSLOG"]] {
            let filter = try SeccompFilter.compile(.defaultProfile(capabilities: capabilities))
            let status = try inChild {
                _ = linux_syscall(Int(SYS_prctl), Int(PR_SET_NO_NEW_PRIVS), 1, 0, 0, 0, 0)
                return installs(filter) ? 0 : 1
            }
            #expect(status == 0)
        }
    }

    @Test(.pidfdGetfd) func listenerIsHandedOver() throws {
        let directory = "/tmp/apus-seccomp-\(getpid())"
        try File.makeDirectory(directory)
        defer { try? File.removeTree(directory) }
        let path = directory + "/agent"
        let agent = try UnixSocket.listen(path, .stream)

        var profile = Seccomp(defaultAction: .allow)
        profile.syscalls = [Seccomp.Syscall(names: ["mkdir"], action: .notify)]
        profile.listenerPath = path
        profile.listenerMetadata = "for the agent"
        let filter = try SeccompFilter.compile(profile)
        #expect(filter.notifies)

        // The child says its listener's number; we fetch it, as the runtime does.
        let pipe = try FD.pipe()
        let child = forked()
        if child == 0 {
            _ = linux_syscall(Int(SYS_prctl), Int(PR_SET_NO_NEW_PRIVS), 1, 0, 0, 0, 0)
            guard let listener = try? filter.install() else { _exit(1) }
            var number = listener.raw
            _ = write(pipe.writing.raw, &number, 4)
            sleep(30)
            _exit(0)
        }
        try #require(child > 0)
        defer {
            kill(pid_t(child), SIGKILL)
            var status: Int32 = 0
            waitpid(pid_t(child), &status, 0)
        }
        var number: Int32 = -1
        #expect(read(pipe.reading.raw, &number, 4) == 4)
        let pidfd = Descriptor(owning: Int32(linux_syscall(Int(SYS_pidfd_open), Int(child), 0, 0, 0, 0, 0)))
        let listener = Descriptor(
            owning: Int32(linux_syscall(Int(SYS_pidfd_getfd), Int(pidfd.raw), Int(number), 0, 0, 0, 0)))
        try #require(listener.raw >= 0)
        let state = RuntimeState(ociVersion: "1.3.0", id: "x", status: .creating, pid: 7, bundle: "/b")
        try SeccompListener.send(listener.raw, of: 7, state: state, profile: profile)

        guard let connection = try UnixSocket.accept(agent.raw) else {
            Issue.record("no connection")
            return
        }
        var message = try UnixSocket.receive(connection.raw, limit: 4096)
        let json = try JSON(parsing: message.bytes)
        #expect(json["pid"]?.int == 7)
        #expect(json["metadata"]?.string == "for the agent")
        #expect(json["fds"]?.array == ["seccompFd"])
        #expect(json["state"]?["id"]?.string == "x")
        let received = message.descriptors.takeFirst()?.take()
        #expect((received ?? -1) >= 0)
        if let received { close(received) }
    }
}
