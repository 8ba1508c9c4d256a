import LinuxSystem
import OCISpec

extension ProcessPlan {
    /// Takes the identity and the rights of the process, and executes its command.
    /// The caller is in the container with its streams in place.
    /// - Parameters:
    ///   - path: the command's file.
    ///   - channel: where failures are reported.
    func launch(_ path: String, channel: borrowing SyncChannel) throws(RuntimeError) -> Never {
        let first = 3 + preservedDescriptors
        let report = try during("prepare descriptors") { () throws(SystemError) in
            // CVE-2024-21626: nothing of the host's that was open here may be open there.
            _ = try checked("close_range") {
                linux_syscall(Int(SYS_close_range), Int(first), Int(UInt32.max), 4 /* CLOEXEC */, 0, 0, 0)
            }
            let raw = channel.raw
            return try checked("duplicate descriptor") { linux_fcntl(raw, F_DUPFD, Int(first)) }
        }
        try keepRightsWithoutRoot()
        var program = LaunchProgram(report: report)
        compose(&program, path, report)
        do throws(SystemError) {
            try program.execute()
        } catch {
            throw RuntimeError(.system, "start the launch program", cause: error)
        }
    }

    private func compose(_ program: inout LaunchProgram, _ path: String, _ report: Int32) {
        let user = spec.user
        program.call(
            Int(SYS_fcntl), UInt64(report), UInt64(F_SETFD), UInt64(FD_CLOEXEC), stage: .descriptors)
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
            install(early, &program)
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
        if spec.noNewPrivileges, let seccomp { install(seccomp, &program) }
        let file = program.store(path)
        let arguments = program.store(vector: spec.args)
        let environment = program.store(vector: spec.env)
        program.call(Int(SYS_execve), file, arguments, environment, stage: .execute)
    }

    private func setGroups(_ program: inout LaunchProgram) {
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

    private func install(_ filter: SeccompFilter, _ program: inout LaunchProgram) {
        let instructions = filter.program.withUnsafeBytes { program.store($0) }
        // struct sock_fprog: a count and a pointer.
        let header = program.store(words: [UInt64(filter.program.count), instructions])
        let setModeFilter: UInt64 = 1
        program.call(Int(SYS_seccomp), setModeFilter, UInt64(filter.flags), header, stage: .seccomp)
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
