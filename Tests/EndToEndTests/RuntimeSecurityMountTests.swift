import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// Published escapes by where a runtime's mounts come to lie.
    @Suite struct RuntimeSecurityMountTests {
        typealias Bundle = RuntimeCommandTests.Bundle

        /// An image's volume on /proc took the place of the kernel's view, so that the label that was
        /// written to `/proc/self/attr/exec` went into a file of the image's.
        @Test func CVE_2019_16884() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["echo", "it ran"])
                try host.write("", to: "fake/self/attr/exec")
                try bundle.plant("/proc", at: "way")
                try bundle.plant("../../proc/self", at: "self")
                let config = bundle.config
                for destination in [
                    "/proc", "/proc/", "//proc", "/./proc", "/x/../proc", "/proc/self", "/proc/self/attr",
                    "/proc/thread-self/attr", "/proc/sys", "/proc/sysrq-trigger", "/way", "/way/self/attr",
                    "/self",
                ] {
                    try bundle.edit { $0 = config.object ?? [:] }
                    try bundle.bind(host.path("fake"), on: destination)
                    let finished = try bundle.attack()
                    #expect(finished.exit != 0 && finished.text.isEmpty, "\(destination): \(finished)")
                }
            }
        }

        /// An image's mount point that was a link to outside of its root file system was followed on the
        /// host (crun).
        @Test func CVE_2019_18837() throws {
            try Host.with { host in
                let bundle = try Bundle(host)
                let bait = try Bait(host)
                let source = try host.write("mounted", to: "source/file")
                let up = String(repeating: "../", count: 30)
                for (number, target) in [
                    bait.path, "\(bait.path)/new", "\(up)\(bait.path.dropFirst())",
                    "\(up)\(bait.path.dropFirst())/new/deep",
                ].enumerated() {
                    try bundle.plant(target, at: "etc/file\(number)")
                    try bundle.plant(target, at: "etc/directory\(number)")
                    try bundle.bind(source, on: "/etc/file\(number)/x")
                    try bundle.bind(host.path("source"), on: "/etc/directory\(number)")
                }
                let finished = try bundle.attack()
                #expect(bait.damage.isEmpty, "\(bait.damage) \(finished)")
                // Inside, the links lead to places of the container's own.
                try bundle.script("cat /etc/directory0/file; ls -R \(bait.path)")
                let again = try bundle.attack()
                #expect(again.text.hasPrefix("mounted") && !again.text.contains("kept"), "\(again)")
            }
        }

        /// Two containers shared a volume that one had under its /proc, which was a link: what the
        /// runtime wrote through /proc, and what it masked there, was the attacker's.
        @Test func CVE_2019_19921() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["echo", "it ran"])
                try File.makeDirectories(host.path("volume/proc"))
                try bundle.bind(host.path("volume"), on: "/volume")
                // The volume first, as its path sorts for engines.
                try bundle.mounts { $0.insert($0.removeLast(), at: 0) }
                try bundle.plant("/volume/proc", at: "proc")
                let linked = try bundle.attack()
                #expect(linked.exit != 0 && linked.text.isEmpty, "\(linked)")

                try File.unlink("\(bundle.rootfs)/proc")
                try File.makeDirectories("\(bundle.rootfs)/proc")
                try bundle.plant("volume", at: "other")
                try Self.watchMasks(bundle)
                let exchanger = Exchanger("\(bundle.rootfs)/proc", "\(bundle.rootfs)/other")
                try bundle.attackRepeatedly(for: .milliseconds(1500)) { Self.expectMasks($0) }
                #expect(exchanger.end() > 0)
            }
        }

        /// The container says what the masked and read-only files of /proc hold, wherever they are.
        static func watchMasks(_ bundle: Bundle) throws {
            try bundle.giveRights()
            try bundle.script(
                """
                for proc in /proc /other /volume /volume/proc; do
                  # Whatever has that name next, this is the one that is looked at.
                  cd $proc && test -e uptime || continue
                  echo "timers $(cat timer_list | wc -c)"
                  ( echo 1 > sys/vm/drop_caches ) 2> /dev/null && echo written
                  ( echo h > sysrq-trigger ) 2> /dev/null && echo written
                done; true
                """)
        }

        static func expectMasks(_ finished: Finished) {
            #expect(!finished.text.contains("written"), "\(finished)")
            for line in finished.lines where line.hasPrefix("timers") {
                #expect(line == "timers 0", "\(finished)")
            }
        }

        /// The check of /proc was lost again when mounts were reworked: the link needed only a volume.
        @Test func CVE_2023_27561() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["echo", "it ran"])
                for target in ["/tmp", "tmp", "/", ".", "/dev/shm", "../../..", "proc", "/proc", "/nothing"] {
                    for name in ["proc", "sys"] {
                        try? File.removeTree("\(bundle.rootfs)/proc")
                        try? File.removeTree("\(bundle.rootfs)/sys")
                        for name in ["proc", "sys"] { try File.makeDirectories("\(bundle.rootfs)/\(name)") }
                        try bundle.plant(target, at: name)
                        let finished = try bundle.attack()
                        #expect(finished.exit != 0, "\(name) -> \(target): \(finished)")
                        #expect(finished.text.isEmpty, "\(name) -> \(target): \(finished)")
                    }
                }
            }
        }

        /// With /proc linked to a directory below a tmpfs of the container's, AppArmor and SELinux labels
        /// were written into files there.
        @Test func CVE_2023_28642() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["echo", "it ran"])
                try bundle.plant("/tmp/proc", at: "proc")
                for destination in ["/tmp", "/tmp/proc", "/tmp/proc/self/attr"] {
                    try bundle.mounts { mounts in
                        mounts.insert(
                            ["destination": .string(destination), "type": "tmpfs", "source": "tmpfs"], at: 0)
                    }
                    let finished = try bundle.attack()
                    #expect(finished.exit != 0 && finished.text.isEmpty, "\(finished)")
                }
                // As `/proc/../proc` a configuration writes the same.
                try bundle.removeMounts("/proc")
                try bundle.mounts {
                    $0.append(["destination": "/tmp/../proc/.", "type": "proc", "source": "proc"])
                }
                #expect(try bundle.attack().text.isEmpty)
            }
        }

        /// A directory of a shared volume became a link between the check of a mount point below it and
        /// the mount, which then lay on the host's path.
        @Test func CVE_2021_30465() throws {
            try Host.with { host in
                let bundle = try Bundle(host)
                let bait = try Bait(host)
                let volume = host.path("volume")
                try File.makeDirectories("\(volume)/a")
                let up = String(repeating: "../", count: 30)
                try File.makeSymbolicLink(to: "\(up)\(bait.path.dropFirst())", "\(volume)/b")
                try File.makeSymbolicLink(to: "/", "\(host.path("source"))")
                try host.write("mounted", to: "mounted/file")
                try bundle.bind(volume, on: "/volume", "rslave")
                try bundle.bind(host.path("mounted"), on: "/volume/a/sub")
                try bundle.bind(host.path("mounted"), on: "/volume/a/new/deep")
                try bundle.mounts {
                    $0.append(["destination": "/volume/a/sub2", "type": "tmpfs", "source": "tmpfs"])
                }
                try bundle.script(
                    "cat /volume/*/kept /volume/*/*/kept; echo pwned > /volume/a/sub2/p; echo pwned > /volume/b/p"
                )
                let exchanger = Exchanger("\(volume)/a", "\(volume)/b")
                try bundle.attackRepeatedly(for: .milliseconds(1500)) {
                    #expect(!$0.text.contains(Bait.secret), "\($0)")
                }
                #expect(exchanger.end() > 0)
                #expect(bait.damage.isEmpty, "\(bait.damage)")
            }
        }

        /// The same race made empty files and directories on the host, where a mount point was missing.
        @Test func CVE_2024_45310() throws {
            try Host.with { host in
                let bundle = try Bundle(host)
                let bait = try Bait(host)
                let volume = host.path("volume")
                let source = try host.write("mounted", to: "source/file")
                try File.makeSymbolicLink(
                    to: "\(String(repeating: "../", count: 30))\(bait.path.dropFirst())/sub", "\(volume)-link"
                )
                try File.makeDirectories("\(volume)/a")
                try File.rename("\(volume)-link", to: "\(volume)/b")
                try bundle.bind(volume, on: "/volume")
                let config = bundle.config
                let exchanger = Exchanger("\(volume)/a", "\(volume)/b")
                let deadline = ContinuousClock.now + .milliseconds(1500)
                var round = 0
                while ContinuousClock.now < deadline {
                    round += 1
                    try bundle.edit { $0 = config.object ?? [:] }
                    for number in 0..<4 {
                        try bundle.bind(source, on: "/volume/a/file\(round)-\(number)")
                        try bundle.bind(
                            host.path("source"), on: "/volume/a/directory\(round)-\(number)/deep/er")
                    }
                    _ = try bundle.attack()
                }
                #expect(exchanger.end() > 0)
                #expect(bait.damage.isEmpty, "\(bait.damage)")
            }
        }
    }
}
