import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// `apus-runtime` with many containers, and with little memory.
    @Suite struct RuntimeScaleTests {
        /// What a runtime must not leave behind: groups, mounts, processes and files.
        private struct Residue: Equatable {
            var groups: Int
            var mounts: Int
            var files: [String]

            init(_ bundle: RuntimeCommandTests.Bundle) {
                groups = Self.groups(mentioning: bundle.host.prefix)
                mounts = Kernel.mounts().count
                files = (try? File.names(in: bundle.state)) ?? []
            }

            private static func groups(mentioning text: String) -> Int {
                Set((try? File.names(in: "/sys/fs/cgroup")) ?? []).union(["."]).reduce(0) {
                    count, hierarchy in
                    let names = try? File.names(in: "/sys/fs/cgroup/\(hierarchy)/apus")
                    return count + (names ?? []).count { $0.contains(text) }
                }
            }
        }

        @Test func oneHundredContainersLeaveNothing() throws {
            try Host.with { host in
                let bundle = try RuntimeCommandTests.Bundle(host, arguments: ["sleep", "1000"])
                let before = Residue(bundle)
                let ids = (0..<100).map { "\(host.prefix)-\($0)" }
                for id in ids {
                    try bundle.edit { $0["linux"] = $0["linux"]?.with("cgroupsPath", .string("/apus/\(id)")) }
                    try bundle.create(id)
                }
                let listed = try bundle.run("list", "-q").text.split(separator: "\n").map(String.init)
                #expect(Set(listed) == Set(ids))
                #expect(Residue(bundle).groups >= ids.count)
                let pids = try ids.map { pid_t(try bundle.state($0)["pid"]?.int ?? 0) }
                #expect(Set(pids).count == ids.count)
                for id in ids {
                    let killed = try bundle.run("kill", id, "KILL")
                    #expect(killed.exit == 0, "\(killed)")
                }
                for id in ids {
                    try host.eventually("\(id) has stopped") { try bundle.state(id)["status"] == "stopped" }
                    let deleted = try bundle.run("delete", id)
                    #expect(deleted.exit == 0, "\(deleted)")
                }
                #expect(Residue(bundle) == before)
                #expect(try bundle.run("list", "-q").text == "")
                // The host's first process takes them in, and may take its time.
                try host.eventually("the processes are gone") { !pids.contains { Kernel.exists($0) } }
            }
        }

        /// The runtime's own code, in the container's group already, must not need more.
        @Test(arguments: [false, true])
        func aContainerRunsWith512KiB(confined: Bool) throws {
            guard File.exists("/sys/fs/cgroup/memory") else {
                print("skipped: no memory controller of cgroup v1")
                return
            }
            try Host.with { host in
                let file = "/sys/fs/cgroup/memory/memory.limit_in_bytes"
                let bundle = try RuntimeCommandTests.Bundle(host, arguments: ["cat", file])
                try bundle.edit { config in
                    var linux = config["linux"]?.with("resources", ["memory": ["limit": 524288]])
                    if confined {
                        let rule: JSON = [
                            "names": ["mount", "reboot", "swapon"], "action": "SCMP_ACT_ERRNO",
                        ]
                        linux = linux?.with(
                            "seccomp", ["defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]])
                    }
                    config["linux"] = linux
                }
                for _ in 0..<10 {
                    let finished = try bundle.run("run", "--bundle", bundle.path, "\(host.prefix)-small")
                    #expect(finished.exit == 0 && finished.text == "524288", "\(finished)")
                }
            }
        }
    }
}

extension JSON {
    /// The object with a member.
    fileprivate func with(_ name: String, _ value: JSON) -> JSON {
        var members = object ?? [:]
        members[name] = value
        return .object(members)
    }
}
