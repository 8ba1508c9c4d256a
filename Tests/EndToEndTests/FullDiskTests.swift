import LinuxSystem
import Testing

extension EndToEnd {
    /// A disk without room: one error that says so, nothing is left, and with room again all goes on.
    @Suite(.ours, .needs("mkfs.ext4", "losetup")) struct FullDiskTests {
        enum Operation: String, CaseIterable { case run, commit, importing, load, copy, migrate, volume }

        @Test(arguments: Operation.allCases) func saysSoAndGoesOn(_ operation: Operation) throws {
            try Host.with { host in
                let disk = host.path("disk")
                try ProgramRun.tool("truncate", "-s", "48M", disk)
                try ProgramRun.tool("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0", disk)
                try File.makeDirectories(host.root)
                try ProgramRun.tool("mount", "-o", "loop", disk, host.root)
                host.later { umount2(host.root, Int32(MNT_DETACH)) }
                let command = try prepare(operation, host)
                let before = try state(host)
                let isRun = operation == .run || operation == .volume

                // The database has its next changes' space in advance.
                let ballast = "\(host.root)/ballast"
                try fill(
                    host.root, with: ballast, leaving: isRun ? 0 : 1 << 20
                )
                let refused = try host.apus(list: command)
                #expect(refused.exit != 0, "\(refused)")
                #expect(refused.errorText.lowercased().contains("no space left on device"), "\(refused)")
                #expect(refused.errorText.split(separator: "\n").count == 1, "\(refused)")
                try host.ok("system", "sweep")
                #expect(try state(host) == before)
                // What frees space needs none.
                try host.ok("rmi", "localhost/spare:v1")
                try File.unlink(ballast)
                #expect(try host.ok("system", "check") == "")

                try host.ok(list: command)
                #expect(try host.ok("system", "check") == "")
                if !isRun { #expect(try state(host) != before) }
            }
        }

        private func prepare(_ operation: Operation, _ host: Host) throws -> [String] {
            var big = TarBuilder()
            // No compression makes it fit.
            big.add("big", bytes: try ProgramRun.run(["/usr/bin/head", "-c", "6M", "/dev/urandom"]).output)
            let tar = host.path("big.tar")
            try File.replace(tar, with: big.archive, durable: false)
            let layout = host.path("layout")
            try ImageBuilder(big.archive, compression: .none).writeLayout(to: layout, tag: "v1")
            var small = TarBuilder()
            small.add("spare", .file, "spare\n")
            try File.replace(host.path("small.tar"), with: small.archive, durable: false)
            try host.ok("import", "-q", host.path("small.tar"), "localhost/spare:v1")
            let container = "\(host.prefix)-c"
            func create() throws {
                try host.ok("create", "--name", container, "--network", "none", try host.busybox(), "true")
            }
            switch operation {
            case .run:
                return [
                    "run", "--rm", "--network", "none", try host.busybox(), "cp", "/bin/busybox",
                    "/copy",
                ]
            case .commit:
                try create()
                try host.ok("cp", "-", "\(container):/", input: .bytes(big.archive))
                return ["commit", "-q", container, "localhost/made:v1"]
            case .importing: return ["import", "-q", tar, "localhost/made:v1"]
            case .load:
                let archive = host.path("image.tar")
                let image = ImageBuilder(big.archive, compression: .none)
                try File.replace(
                    archive, with: try image.dockerArchive(tags: ["localhost/made:v1"]), durable: false)
                return ["load", "-q", "-i", archive]
            case .copy: return ["copy", "-q", "oci:\(layout):v1", "oci:\(host.root)/layout:v1"]
            case .migrate:
                try create()
                return ["system", "migrate", "vfs"]
            case .volume:
                return [
                    "run", "--rm", "--network", "none", "-v", "vol:/bin", try host.busybox(),
                    "/bin/true",
                ]
            }
        }

        private func fill(_ directory: String, with file: String, leaving rest: Int64) throws {
            var status = statvfs()
            statvfs(directory, &status)
            let size = Int64(status.f_bavail) * Int64(status.f_frsize) - rest
            // The blocks that say where the file's are have been counted as free.
            try ProgramRun.tool("fallocate", "-l", "\(size - (256 << 10))", file)
            guard rest == 0 else { return }
            _ = try? ProgramRun.tool(
                "dd", "if=/dev/zero", "of=\(file)", "bs=4096", "oflag=append", "conv=notrunc")
        }

        /// What a user sees, and how much there is of everything.
        private func state(_ host: Host) throws -> [String] {
            var lines = try host.ok("images", "--format", "{{.Repository}}:{{.Tag}}").split(separator: "\n")
                .map(String.init)
            lines.removeAll { $0.hasPrefix("localhost/spare") }
            lines += try host.ok("ps", "-a", "--format", "{{.Names}} {{.Status}}").split(separator: "\n").map(
                String.init)
            lines.append(try host.ok("info", "--format", "{{.Driver}}"))
            for place in ["vfs/layers", "vfs/trees", "vfs/snapshots", "ingest", "trash", "layout"] {
                lines.append("\((try? File.names(in: "\(host.root)/\(place)"))?.count ?? 0) in \(place)")
            }
            return lines.sorted()
        }
    }
}
