import LinuxSystem
import OCISpec
import Testing

extension RuntimeTests {
    /// What made runtimes give the host away before.
    @Suite struct Attacks {
        /// CVE-2019-5736: the command leads to the runtime's own program.
        @Test(.enabled(if: RuntimeFixture.isOurs))
        func theRuntimesProgramIsOutOfReach() throws {
            let fixture = try RuntimeFixture()
            try File.makeSymbolicLink(to: "/proc/self/exe", fixture.rootfs + "/bin/linked")
            try fixture.write("rootfs/bin/scripted", "#!/proc/self/exe\n", mode: 0o755)
            // Sees every other process's program, and says what it is called.
            fixture.shell(
                """
                while true; do for p in /proc/[0-9]*; do
                  l=$(readlink $p/exe 2>/dev/null) && case $l in /bin/busybox|"") ;; *) echo saw $l; esac
                done; done
                """)
            fixture.config.process?.capabilities = Capabilities(
                bounding: ["CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN"],
                effective: ["CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN"],
                permitted: ["CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN"])
            try fixture.save()
            try fixture.create()
            try File.rename(fixture.directory + "/output", to: fixture.directory + "/seen")
            try fixture.command(["start", fixture.id])
            for _ in 0..<15 {
                for command in ["linked", "scripted", "true"] {
                    try fixture.command(["exec", fixture.id, command])
                }
            }
            let seen = try File.readText(fixture.directory + "/seen").lines
            #expect(seen.allSatisfy { $0.hasPrefix("saw /memfd:apus") }, "\(seen.first ?? "")")
        }

        /// CVE-2024-21626: the working directory leads out through a descriptor.
        @Test(arguments: 3..<12)
        func theWorkingDirectoryIsInside(_ descriptor: Int) throws {
            let fixture = try RuntimeFixture()
            fixture.config.root?.readonly = false
            fixture.config.process?.cwd = "/proc/self/fd/\(descriptor)"
            fixture.shell("ls ../../../../../..")
            // A number that is free may name a directory of the container's /proc; it is inside.
            #expect(!(try fixture.run().output.contains("lib64")))
        }

        @Test func execIntoADirectoryOutsideIsRefused() throws {
            let fixture = try RuntimeFixture()
            fixture.shell("exec sleep 100")
            for descriptor in 3..<10 {
                try File.makeSymbolicLink(
                    to: "/proc/self/fd/\(descriptor)", fixture.rootfs + "/link\(descriptor)")
            }
            try fixture.create()
            try fixture.command(["start", fixture.id])
            for descriptor in 3..<10 {
                let outcome = try fixture.command(["exec", "--cwd", "/link\(descriptor)", fixture.id, "pwd"])
                #expect(outcome.code == 255, "\(outcome.output)")
            }
        }

        /// CVE-2025-31133: masks are made of the host's /dev/null, whatever the image has there.
        @Test(.enabled(if: RuntimeFixture.isOurs))
        func masksAreNotTheImages() throws {
            let fixture = try RuntimeFixture()
            fixture.config.mounts.removeAll { $0.destination.hasPrefix("/dev") }
            try fixture.write("rootfs/etc/prize", "prize\n")
            try File.makeSymbolicLink(to: "/etc/prize", fixture.rootfs + "/dev/null")
            fixture.shell("cat /proc/timer_list | wc -c; grep -c /null /proc/self/mountinfo")
            let lines = try fixture.run().output.lines
            #expect(lines == ["0", "2"])
        }

        /// CVE-2025-52565: /dev/console of the image leads elsewhere.
        @Test func theConsoleIsNotTheImages() throws {
            let fixture = try RuntimeFixture()
            fixture.config.mounts.removeAll { $0.destination == "/dev" || $0.destination == "/dev/shm" }
            try File.makeDirectories(fixture.rootfs + "/dev/pts")
            try File.makeSymbolicLink(to: "/etc/target", fixture.rootfs + "/dev/console")
            let receiver = try ConsoleReceiver(fixture.directory + "/console")
            fixture.config.process?.terminal = true
            fixture.shell("ls -l /etc/target; tty")
            try fixture.save()
            let outcome = try fixture.command([
                "run", "--detach", "--console-socket", receiver.path, "--bundle", fixture.directory,
                fixture.id,
            ])
            // Inside the container it may be anything; outside nothing has changed.
            #expect(!File.exists("/etc/target"), "\(outcome.output)")
        }

        /// CVE-2016-9962: what is being added to a container shows its files to nobody in it.
        @Test(.enabled(if: RuntimeFixture.isOurs))
        func descriptorsOfAnAddedProcessAreHidden() throws {
            let fixture = try RuntimeFixture()
            fixture.shell(
                """
                while true; do for p in /proc/[0-9]*; do
                  for f in $p/fd/*; do l=$(readlink $f 2>/dev/null) && case $l in
                    /proc|/sys*|*state*) echo saw $p $l;; esac
                  done
                done; done
                """)
            try fixture.create()
            try File.rename(fixture.directory + "/output", to: fixture.directory + "/seen")
            try fixture.command(["start", fixture.id])
            for _ in 0..<20 { try fixture.command(["exec", fixture.id, "true"]) }
            #expect(try File.readText(fixture.directory + "/seen") == "")
        }
    }
}
