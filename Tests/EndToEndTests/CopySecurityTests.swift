import LinuxSystem
import Synchronization
import Testing

extension EndToEnd {
    /// `cp` with a container that works against it, after published attacks on peers.
    @Suite(.ours) struct CopySecurityTests {
        /// podman: copying into a container wrote to what is mounted there to be read only.
        @Test func CVE_2020_1726() throws {
            try Host.with { host in
                let bait = try Bait(host)
                let image = try host.busybox()
                let payload = try host.write("payload", to: "payload")
                let name = "\(host.prefix)c"
                try host.ok(
                    "run", "--rm", "--network", "none", "-v", "\(host.prefix)vol:/vol", image, "sh", "-c",
                    "echo before >/vol/kept")
                try host.ok(
                    "run", "-d", "--name", name, "--network", "none", "-v", "\(bait.path):/data:ro",
                    "-v", "\(host.prefix)vol:/vol:ro", image, "sh", "-c", "ln -s /data /way; exec sleep 100")
                for isRunning in [true, false] {
                    if !isRunning { try host.ok("stop", "-t", "0", name) }
                    for place in [
                        "/data/kept", "/data/new", "/data", "/way", "/way/new", "/vol/kept", "/vol",
                    ] {
                        let refused = try host.apus("cp", payload, "\(name):\(place)")
                        #expect(refused.exit != 0, "\(place)")
                        #expect(refused.errorText.contains("read-only file system"), "\(refused)")
                    }
                    #expect(bait.damage == [])
                    try host.ok("cp", payload, "\(name):/tmp/writable")
                    try host.ok("cp", "\(name):/data/kept", host.path("out"))
                }
                #expect(
                    try host.ok(
                        "run", "--rm", "--network", "none", "-v", "\(host.prefix)vol:/vol", image, "sh", "-c",
                        "ls /vol; cat /vol/kept") == "kept\nbefore")
            }
        }

        /// docker, podman: what is copied is found anew at each step, while the container exchanges
        /// a directory with a link to the host's (CVE-2019-10152 of podman is the same).
        @Test func CVE_2018_15664() throws {
            try Host.with { host in
                let bait = try Bait(host)
                try host.write("payload", to: "in/kept")
                let shared = host.path("shared")
                try File.makeDirectories("\(shared)/x")
                try host.write("harmless", to: "shared/x/kept")
                try File.makeSymbolicLink(to: bait.path, "\(shared)/y")
                let id = try host.detached(
                    "--network", "none", "-v", "\(shared):/d", try host.busybox(), "sleep", "1000")
                let exchanger = Exchanger("\(shared)/x", "\(shared)/y")
                for turn in 0..<60 {
                    _ = try host.apus("cp", host.path("in/."), "\(id):/d/x")
                    _ = try host.apus("cp", host.path("in/kept"), "\(id):/d/x/kept")
                    for (way, place) in ["x", "x/.", "x/kept"].enumerated() {
                        let out = host.path("out\(turn).\(way)")
                        _ = try host.apus("cp", "-L", "\(id):/d/\(place)", out)
                        let found = try ProgramRun.run(["grep", "-r", Bait.secret, out])
                        #expect(found.text == "", "\(found)")
                    }
                }
                let exchanges = exchanger.end()
                #expect(exchanges > 1000)
                #expect(bait.damage == [])
            }
        }

        /// docker's go-archive: what an earlier copy had brought, a link, led the next one out of its place.
        @Test func CVE_2026_17106() throws {
            try Host.with { host in
                let bait = try Bait(host)
                let id = try host.detached("--network", "none", try host.busybox(), "sleep", "1000")
                let out = host.path("out")
                try host.ok(
                    "exec", id, "sh", "-c",
                    "mkdir /d; ln -s \(bait.path) /d/way; ln -s \(bait.path)/kept /d/f")
                try host.ok("cp", "\(id):/d", out)
                try host.ok(
                    "exec", id, "sh", "-c",
                    "rm /d/way /d/f; mkdir /d/way; echo bad >/d/way/kept; echo bad >/d/f; chmod 777 /d/f /d/way"
                )
                _ = try host.apus("cp", "\(id):/d/.", out)
                #expect(bait.damage == [])
                try host.ok("cp", "--overwrite", "\(id):/d/.", out)
                #expect(bait.damage == [])
                #expect(try File.readText("\(out)/way/kept") == "bad\n")
            }
        }

        /// docker: archives were unpacked by programs that the container has (and after it had gone
        /// into it, with its libraries: CVE-2019-14271).
        @Test func CVE_2026_41567() throws {
            try Host.with { host in
                let bait = try Bait(host)
                var tar = TarBuilder()
                for name in ["xz", "unpigz", "pigz", "gzip", "bzip2", "zstd", "tar"] {
                    tar.add("usr/bin/\(name)", .file, "#!/bin/sh\necho bad >\(bait.path)/kept\n")
                    tar.add("usr/local/sbin/\(name)", .file, "#!/bin/sh\necho bad >\(bait.path)/kept\n")
                }
                try host.ok(
                    "load", "-q",
                    input: .bytes(
                        try ImageBuilder.busybox(adding: tar).dockerArchive(tags: ["localhost/own:1"])))
                let id = try host.detached(
                    "--network", "none", "-v", "\(bait.path):\(bait.path)", "localhost/own:1", "sleep", "1000"
                )
                try host.write("payload", to: "in/file")
                for packer in ["xz", "gzip", "bzip2", "zstd"] {
                    try ProgramRun.tool(
                        "sh", "-c", "tar -C \(host.path("in")) -c . | \(packer) -c > \(host.path("in.tar"))")
                    try host.ok("cp", "-", "\(id):/tmp", input: .bytes(try File.read(host.path("in.tar"))))
                    #expect(try host.ok("exec", id, "cat", "/tmp/file") == "payload")
                }
                #expect(bait.damage == [])
            }
        }
    }
}
