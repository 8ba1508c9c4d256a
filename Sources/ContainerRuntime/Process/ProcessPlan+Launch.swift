import LinuxSystem
import OCISpec

extension ProcessPlan {
    /// Takes the identity and the rights of the process, and executes its command.
    /// The caller is in the container with its streams in place.
    /// - Parameters:
    ///   - path: the command's file.
    ///   - channel: where failures are reported.
    func launch(
        _ path: String, channel: borrowing SyncChannel, debug: ((String) -> Void)? = nil
    ) throws(RuntimeError) -> Never {
        let first = 3 + preservedDescriptors
        let raw = channel.raw
        let agentSocket = agent?.socket.raw
        var ways = Ways(report: -1)
        try during("prepare descriptors") { () throws(SystemError) in
            // CVE-2024-21626: nothing of the host's that was open here may be open there.
            try FD.closeRange(first, onExec: true)
            ways.report = try checked("duplicate descriptor") { linux_fcntl(raw, F_DUPFD, Int(first)) }
            if let agentSocket {
                ways.agent = try checked("duplicate descriptor") {
                    linux_fcntl(agentSocket, F_DUPFD, Int(first))
                }
            }
        }
        try keepRightsWithoutRoot()
        if let seccomp { debug?("seccomp filter flags: \(seccomp.flags)") }
        var program = LaunchProgram(report: ways.report)
        compose(&program, path, ways)
        do throws(SystemError) {
            try program.execute()
        } catch {
            throw RuntimeError(.system, "start the launch program", cause: error)
        }
    }

    /// The launch program's own descriptors.
    private struct Ways {
        /// Where failures are reported.
        var report: Int32
        var agent: Int32?

        /// The number that the next descriptor gets in the launch program: the lowest free one,
        /// where those that are close-on-exec now are closed.
        var next: Int32 {
            var number: Int32 = 0
            while true {
                let flags = linux_fcntl(number, F_GETFD, 0)
                if flags < 0 || flags & FD_CLOEXEC != 0 { return number }
                number += 1
            }
        }
    }

    private func compose(_ program: inout LaunchProgram, _ path: String, _ ways: Ways) {
        let user = spec.user
        let report = ways.report
        func closeOnExecution(_ descriptor: Int32) {
            program.call(
                Int(SYS_fcntl), UInt64(descriptor), UInt64(F_SETFD), UInt64(FD_CLOEXEC), stage: .descriptors)
        }
        closeOnExecution(report)
        if let agent = ways.agent { closeOnExecution(agent) }
        if spec.noNewPrivileges {
            program.call(Int(SYS_prctl), UInt64(PR_SET_NO_NEW_PRIVS), 1, 0, 0, 0, stage: .noNewPrivileges)
        }
        // Here, because a limit on files or memory must not hit us; and before the user changes,
        // because raising one takes rights.
        for (resource, _, limit) in rlimits {
            let address = program.store(words: [UInt64(limit.rlim_cur), UInt64(limit.rlim_max)])
            program.call(
                Int(SYS_prlimit64), 0, UInt64(resource), address, 0, stage: .limit(resource))
        }
        // A filter without no_new_privs needs CAP_SYS_ADMIN, which is given up below. Loading it
        // as late as that allows keeps what it must let pass to three calls.
        let early = spec.noNewPrivileges ? nil : seccomp
        for number in 0..<CapabilitySet.countInKernel where !bounding.contains(Capability(number: number)) {
            program.call(Int(SYS_prctl), UInt64(PR_CAPBSET_DROP), UInt64(number), stage: .boundingSet)
        }
        if user.uid != 0 {
            program.call(Int(SYS_prctl), UInt64(PR_SET_KEEPCAPS), 1, 0, 0, 0, stage: .keepCapabilities)
        }
        setGroups(&program)
        let gid = UInt64(user.gid)
        let uid = UInt64(user.uid)
        program.call(Int(SYS_setresgid), gid, gid, gid, stage: .group)
        program.call(Int(SYS_setresuid), uid, uid, uid, stage: .user)
        if entersDirectoryAsUser {
            // By its path: in this program nothing of the host's is open that it could lead to.
            program.call(Int(SYS_chdir), program.store(spec.cwd), stage: .workingDirectory)
        }
        program.call(Int(SYS_umask), UInt64(user.umask ?? 0o022), stage: .umask)
        // Said before the filter is there, which may let nothing of it pass.
        let letter = program.store(words: [UInt64(SyncMessage.executingLetter)])
        let noSignal = UInt64(MSG_NOSIGNAL)
        func announce(_ program: inout LaunchProgram) {
            program.call(
                Int(SYS_sendto), UInt64(report), letter, 1, noSignal, stage: .report, tolerated: true)
        }
        if let early {
            announce(&program)
            if user.uid != 0 {
                let own = (try? CapabilitySet.permitted()) ?? CapabilitySet()
                setCapabilities(&program, effective: own, permitted: own, inheritable: inheritable)
            }
            install(early, &program, ways)
        }
        setCapabilities(&program, effective: effective, permitted: permitted, inheritable: inheritable)
        // The ambient set is empty before the first exec by root, and stays so here.
        program.call(
            Int(SYS_prctl), UInt64(PR_CAP_AMBIENT), UInt64(PR_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0,
            stage: .ambientCapabilities, tolerated: true)
        for capability in Capability.allKnown where ambient.contains(capability) {
            program.call(
                Int(SYS_prctl), UInt64(PR_CAP_AMBIENT), UInt64(PR_CAP_AMBIENT_RAISE),
                UInt64(capability.number), 0, 0, stage: .ambientCapabilities)
        }
        if early == nil { announce(&program) }
        if spec.noNewPrivileges, let seccomp { install(seccomp, &program, ways) }
        let file = program.store(path)
        let arguments = program.store(vector: spec.args)
        let environment = program.store(vector: spec.env)
        program.call(Int(SYS_execve), file, arguments, environment, stage: .execute)
    }

    private func setGroups(_ program: inout LaunchProgram) {
        if keepsGroups { return }
        let groups = spec.user.additionalGids
        // Where a user namespace denies setgroups(2) there are none to set.
        if groups.isEmpty, !Self.maySetGroups { return }
        let address = groups.withUnsafeBytes { program.store($0) }
        program.call(Int(SYS_setgroups), UInt64(groups.count), address, stage: .groups)
    }

    private static var maySetGroups: Bool {
        // setgroups(0, NULL) tells: it fails without effect where it is denied.
        linux_syscall(Int(SYS_setgroups), 0, 0, 0, 0, 0, 0) == 0
    }

    private func setCapabilities(
        _ program: inout LaunchProgram, effective: CapabilitySet, permitted: CapabilitySet,
        inheritable: CapabilitySet
    ) {
        // struct __user_cap_header_struct and two of __user_cap_data_struct (capget(2)).
        let header = program.store(words: [0x2008_0522])
        func low(_ set: CapabilitySet) -> UInt64 { set.bits & 0xffff_ffff }
        func high(_ set: CapabilitySet) -> UInt64 { set.bits >> 32 }
        let data = program.store(words: [
            low(effective) | low(permitted) << 32, low(inheritable) | high(effective) << 32,
            high(permitted) | high(inheritable) << 32,
        ])
        program.call(Int(SYS_capset), header, data, stage: .capabilities)
    }

    private func install(_ filter: SeccompFilter, _ program: inout LaunchProgram, _ ways: Ways) {
        let instructions = filter.program.withUnsafeBytes { program.store($0) }
        // struct sock_fprog: a count and a pointer.
        let header = program.store(words: [UInt64(filter.program.count), instructions])
        let setModeFilter: UInt64 = 1
        program.call(Int(SYS_seccomp), setModeFilter, UInt64(filter.flags), header, stage: .seccomp)
        guard let socket = ways.agent, let agent else { return }
        // struct iovec, struct cmsghdr with SCM_RIGHTS, struct msghdr (sendmsg(2)).
        let text = agent.message.withUnsafeBytes { program.store($0) }
        let vector = program.store(words: [text, UInt64(agent.message.count)])
        let control = program.store(words: [20, 1 | 1 << 32, UInt64(ways.next)])
        let message = program.store(words: [0, 0, vector, 1, control, 24, 0])
        program.call(
            Int(SYS_sendmsg), UInt64(socket), message, UInt64(MSG_NOSIGNAL), stage: .agent)
    }

    /// A process that is not root in its user namespace loses its capabilities
    /// when it executes the launch program, unless they are ambient.
    private func keepRightsWithoutRoot() throws(RuntimeError) {
        guard geteuid() != 0 else { return }
        try during("keep capabilities") { () throws(SystemError) in
            let own = try CapabilitySet.permitted()
            try CapabilitySet.replace(effective: own, permitted: own, inheritable: own)
            for capability in Capability.allKnown where own.contains(capability) {
                _ = try checked("raise ambient capability", "\(capability)") {
                    linux_syscall(
                        Int(SYS_prctl), Int(PR_CAP_AMBIENT), Int(PR_CAP_AMBIENT_RAISE),
                        Int(capability.number), 0, 0, 0)
                }
            }
        }
    }
}
