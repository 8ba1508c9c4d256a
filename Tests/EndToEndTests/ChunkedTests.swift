import JSONText
import LayerArchive
import LinuxSystem
import Testing

extension EndToEnd {
    /// Layers that say where in them which file is.
    @Suite(.ours) struct ChunkedTests {
        private static let fileSize = 640 << 10

        /// 100 files that cannot be compressed; of the second version one has other contents.
        private static func tar(_ host: Host, version: UInt64) throws -> String {
            let path = host.path("v\(version).tar")
            let writer = TarWriter(DescriptorSink(owning: try File.open(path, O_WRONLY | O_CREAT)))
            var state: UInt64 = 1
            var contents = (0..<fileSize / 8).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return state ^ (state >> 29)
            }
            for number in 0..<100 as Range<UInt64> {
                // Enough that no chunk is another file's.
                let mark = number == 50 ? version << 32 : number
                for index in stride(from: 0, to: contents.count, by: 1024) { contents[index] = mark }
                var entry = TarEntry(.regular, "data/\(number)")
                entry.modified = Timestamp(seconds: 1_700_000_000)
                try writer.add(entry, contents: contents.withUnsafeBytes { Array($0) })
            }
            try writer.finish()
            return path
        }

        @Test(.needs("docker-registry", "skopeo")) func pullsWhatIsNew() throws {
            try Host.with { host in
                let registry = try Registry(host)
                let name = "\(registry.address)/team/data"
                for version in [1, 2] as [UInt64] {
                    try host.ok("import", "-q", Self.tar(host, version: version), "\(name):\(version)")
                    try host.ok("push", "-q", "--compression-format", "zstd:chunked", "\(name):\(version)")
                    try host.ok("rmi", "\(name):\(version)")
                }
                let manifest = try JSON(
                    parsing: ProgramRun.tool(
                        "skopeo", "inspect", "--raw", "--tls-verify=false", "docker://\(name):2"))
                let layer = try #require(manifest["layers"]?.array?.first)
                #expect(
                    layer["annotations"]?["io.github.containers.zstd-chunked.manifest-checksum"]?.string
                        != nil)
                let digest = try #require(layer["digest"]?.string)

                try host.ok("pull", "-q", "\(name):1")
                var pulled = try host.apus("pull", "\(name):2")
                // A machine at work may answer so late that the whole is thought to come sooner.
                for _ in 0..<3 where !pulled.errorText.contains("skipped: ") {
                    try host.ok("rmi", "\(name):2")
                    pulled = try host.apus("pull", "\(name):2")
                }
                #expect(pulled.exit == 0, "\(pulled)")
                #expect(pulled.errorText.contains("MB (skipped: 6"), "\(pulled)")
                #expect(
                    try ProgramRun.tool("sha256sum", "\(host.root)/blobs/\(digest.replacing(":", with: "/"))")
                        .hasPrefix(digest.dropFirst(7)))
                try host.ok("rmi", "\(name):2")
                let quiet = try host.apus("pull", "-q", "\(name):2")
                #expect(quiet.exit == 0 && quiet.errors.isEmpty, "\(quiet)")
                try host.ok("system", "check")
            }
        }
    }
}
