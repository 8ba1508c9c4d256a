import LinuxSystem
import Testing

extension EndToEnd {
    @Suite struct ContainerCopyTests {
        /// A container in each state that has files to copy.
        private static func each(_ body: (Host, String) throws -> Void) throws {
            for isRunning in [true, false] {
                try Host.with { host in
                    let image = try host.busybox()
                    let name = "\(host.prefix)c"
                    try host.ok(
                        "run", "-d", "--name", name, "--network", "none", "-v", "\(host.prefix)vol:/vol",
                        image, "sleep", "1000")
                    if !isRunning { try host.ok("stop", "-t", "0", name) }
                    try body(host, name)
                    if !isRunning { try host.ok("start", name) }
                }
            }
        }

        @Test func filesAndDirectoriesIn() throws {
            try Self.each { host, name in
                try host.write("one", to: "tree/one")
                try host.write("two", to: "tree/sub/two")
                try ProgramRun.tool(
                    "sh", "-c",
                    "cd \(host.path("tree")); ln -s one link; chmod 640 one; touch -d '2001-02-03 04:05:06' one"
                )
                try host.ok("cp", host.path("tree/one"), "\(name):/tmp/renamed")
                try host.ok("cp", host.path("tree/one"), "\(name):/tmp")
                try host.ok("cp", host.path("tree"), "\(name):/tmp")
                try host.ok("cp", host.path("tree"), "\(name):/made")
                try host.ok("cp", host.path("tree/."), "\(name):/vol")
                try host.ok("cp", host.path("tree/one"), "\(name):vol/relative")
                // A second time it goes into the directory, or over the file.
                try host.ok("cp", host.path("tree"), "\(name):/made")
                try host.ok("cp", host.path("tree/sub/two"), "\(name):/tmp/renamed")
                if try host.ok("ps", "-q") == "" { try host.ok("start", name) }
                let found = try host.ok(
                    "exec", name, "sh", "-c",
                    "cat /tmp/one /tmp/renamed /tmp/tree/sub/two /made/one /made/tree/one /vol/sub/two /vol/relative; stat -c '%a %u %g %Y' /tmp/one; readlink /made/link"
                )
                #expect(found.hasPrefix("onetwotwooneonetwoone"))
                #expect(found.hasSuffix("640 0 0 981173106\none"))
            }
        }

        @Test func filesAndDirectoriesOut() throws {
            try Self.each { host, name in
                try ProgramRun.tool(
                    "sh", "-c",
                    "mkdir \(host.path("w")); cd \(host.path("w")); mkdir d; echo f > d/f; ln -s f d/l; mkfifo d/p"
                )
                try host.ok("cp", host.path("w/d"), "\(name):/d")
                try host.ok("cp", "\(name):/d/f", host.path("w/out"))
                #expect(try File.readText(host.path("w/out")) == "f\n")
                try host.ok("cp", "\(name):/d", host.path("w/e"))
                try host.ok("cp", "\(name):/d", host.path("w/e"))
                try host.ok("cp", "\(name):/d/.", host.path("w/g"))
                #expect(try File.readText(host.path("w/e/d/f")) == "f\n")
                #expect(try File.readText(host.path("w/g/f")) == "f\n")
            }
        }

        /// As docker does; podman 4 goes through links in any case.
        @Test(.ours) func links() throws {
            try Self.each { host, name in
                try host.write("f\n", to: "w/f")
                try File.makeSymbolicLink(to: "f", host.path("w/l"))
                try host.ok("cp", host.path("w"), "\(name):/d")
                // A link as it is, and what it leads to.
                try host.ok("cp", "\(name):/d/l", host.path("w/link"))
                #expect(try File.readLink(host.path("w/link")) == "f")
                try host.ok("cp", "-L", "\(name):/d/l", host.path("w/target"))
                #expect(try File.readText(host.path("w/target")) == "f\n")
            }
        }

        /// As docker does; podman 4 gives what it reads to the container's user.
        @Test(.ours) func archives() throws {
            try Self.each { host, name in
                try host.write("streamed", to: "in/file")
                let tar = try ProgramRun.run([
                    "/usr/bin/tar", "-C", host.path("in"), "--owner=12", "--group=34", "-c", "file",
                ])
                try host.ok("cp", "-", "\(name):/vol", input: .bytes(tar.output))
                let out = try host.apus("cp", "\(name):/vol/file", "-")
                #expect(out.exit == 0)
                let listed = try ProgramRun.run(
                    ["/usr/bin/tar", "tv", "--numeric-owner"], input: .bytes(out.output))
                #expect(listed.text.contains("12/34") && listed.text.hasSuffix(" file"), "\(listed)")
            }
        }

        @Test(.ours) func refusals() throws {
            try Self.each { host, name in
                let file = try host.write("x", to: "file")
                let directory = host.path("directory")
                try File.makeDirectories(directory)
                for (source, target) in [
                    (file, "\(name):/none/x"), (file, "\(name):/none/"), (directory, "\(name):/etc/passwd"),
                    (file, "\(name):/etc/passwd/"), ("\(name):/none", directory),
                    ("\(host.prefix)none:/etc", directory),
                    ("\(name):/etc/passwd/", directory), (file, directory),
                ] {
                    let finished = try host.apus("cp", source, target)
                    #expect(
                        finished.exit != 0 && finished.errorText.split(separator: "\n").count == 1,
                        "\(finished)")
                }
                #expect(try File.names(in: directory).isEmpty)
            }
        }

        /// Links in the container lead about in the container, whoever follows them.
        @Test func hostileLinks() throws {
            try Self.each { host, name in
                let outside = host.path("outside")
                try File.makeDirectories(outside)
                try host.write("secret", to: "secret")
                let file = try host.write("payload", to: "payload")
                let links = host.path("links")
                try File.makeDirectories(links)
                try File.makeSymbolicLink(to: outside, "\(links)/absolute")
                try File.makeSymbolicLink(to: "../../../../../../../../..\(outside)", "\(links)/relative")
                try File.makeSymbolicLink(to: host.path("secret"), "\(links)/secret")
                try File.makeSymbolicLink(to: "loop", "\(links)/loop")
                try host.ok("cp", links, "\(name):/links")
                for link in ["absolute", "relative"] {
                    // Such a directory is not in the container.
                    #expect(try host.apus("cp", file, "\(name):/links/\(link)/x").exit != 0)
                    let finished = try host.apus("cp", file, "\(name):/links/\(link)")
                    #expect(finished.exit != 0, "\(finished)")
                }
                #expect(try File.names(in: outside).isEmpty)
                #expect(try host.apus("cp", "-L", "\(name):/links/secret", host.path("stolen")).exit != 0)
                #expect(!File.exists(host.path("stolen")))
                #expect(try host.apus("cp", "-L", "\(name):/links/loop", host.path("looped")).exit != 0)
                // An archive may not leave its place by a link of its own.
                var archive = TarBuilder()
                archive.add("out", .symbolicLink, link: outside)
                archive.add("out/file", .file, "x")
                _ = try host.apus("cp", "-", "\(name):/tmp", input: .bytes(archive.archive))
                #expect(try File.names(in: outside).isEmpty)
            }
        }

        @Test(.ours) func ownersAndContainers() throws {
            try Host.with { host in
                let image = try host.busybox()
                for name in ["a", "b"] {
                    try host.ok(
                        "run", "-d", "--name", host.prefix + name, "--network", "none", image, "sleep", "1000"
                    )
                }
                let file = try host.write("x", to: "file")
                chown(file, 1234, 5678)
                try host.ok("cp", file, "\(host.prefix)a:/tmp/ours")
                try host.ok("cp", "-a", file, "\(host.prefix)a:/tmp/kept")
                #expect(
                    try host.ok("exec", host.prefix + "a", "stat", "-c", "%u:%g", "/tmp/ours", "/tmp/kept")
                        == "0:0\n1234:5678")
                try host.ok("cp", "-a", "\(host.prefix)a:/tmp/.", "\(host.prefix)b:/from")
                #expect(
                    try host.ok("exec", host.prefix + "b", "stat", "-c", "%u:%g", "/from/kept") == "1234:5678"
                )
                try host.ok("cp", "-a", "\(host.prefix)b:/from/kept", host.path("back"))
                #expect(try File.status(host.path("back")).st_uid == 1234)
                // Rights of the owner's are not those of whom it is given to.
                chmod(file, 0o6755)
                try host.ok("cp", file, "\(host.prefix)a:/tmp/set")
                #expect(try host.ok("exec", host.prefix + "a", "stat", "-c", "%a", "/tmp/set") == "755")
                try host.ok("cp", "-a", file, "\(host.prefix)a:/tmp/set")
                #expect(try host.ok("exec", host.prefix + "a", "stat", "-c", "%a", "/tmp/set") == "6755")
                try host.ok("cp", "\(host.prefix)a:/tmp/set", host.path("set"))
                #expect(try File.status(host.path("set")).st_mode & 0o7777 == 0o755)
                // The kernel's own files are none.
                for arguments in [
                    ["cp", "\(host.prefix)a:/proc", host.path("p")],
                    ["cp", file, "\(host.prefix)a:/sys/kernel/x"],
                ] {
                    #expect(try host.apus(list: arguments).exit == 125)
                }
                try host.ok("cp", "\(host.prefix)a:/", host.path("whole"))
                #expect(File.exists(host.path("whole/bin/busybox")))
                #expect(try File.names(in: host.path("whole/proc")).isEmpty)
                // A directory and a file keep their places unless it is said otherwise.
                try host.ok("exec", host.prefix + "a", "mkdir", "-p", "/spot/file")
                #expect(try host.apus("cp", file, "\(host.prefix)a:/spot").exit == 125)
                try host.ok("cp", "--overwrite", file, "\(host.prefix)a:/spot")
                #expect(try host.ok("exec", host.prefix + "a", "cat", "/spot/file") == "x")
            }
        }
    }
}
