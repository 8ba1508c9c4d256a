import LinuxSystem
import Testing

extension EndToEnd {
    /// Pulls that are killed, or lose their network, and the next pull of the same image.
    @Suite(.ours, .needs("docker-registry", "skopeo")) struct InterruptedPullTests {
        /// A registry with an image of one large layer, behind a proxy.
        private final class Scene {
            let host: Host
            let proxy: ObservedProxy
            var name: String { "\(proxy.address)/app:1" }

            init(_ host: Host) throws {
                self.host = host
                let registry = try Registry(host)
                var tar = TarBuilder()
                var generator = SystemRandomNumberGenerator()
                tar.add(
                    "noise",
                    bytes: (0..<750_000).flatMap { _ in withUnsafeBytes(of: generator.next()) { Array($0) } })
                try ImageBuilder(tar.archive).writeLayout(to: host.path("layout"), tag: "v1")
                try registry.push("oci:\(host.path("layout")):v1", as: "app:1")
                proxy = try ObservedProxy(host, to: registry.port)
            }

            /// What is kept of the layer: its file and size.
            func kept() throws -> (path: String, size: Int)? {
                let folder = "\(host.root)/partial"
                guard let name = (try? File.names(in: folder))?.first else { return nil }
                return ("\(folder)/\(name)", Int(try File.status("\(folder)/\(name)").st_size))
            }

            /// The ranges that were asked of the layer, each request's; "" for all of it.
            var ranges: [String] {
                let layer = proxy.requests.last { $0.contains("/blobs/") }?.split(separator: " ")[1] ?? "?"
                return proxy.requests.filter { $0.hasPrefix("GET \(layer) ") }.map { head in
                    head.split(separator: "\r\n").first { $0.hasPrefix("Range: ") }.map {
                        String($0.dropFirst(7))
                    } ?? ""
                }
            }

            func loseNetwork(after count: Int) throws {
                try proxy.fail(.cut(after: count))
                let failed = try host.apus("pull", "-q", name)
                #expect(failed.exit != 0 && failed.output.isEmpty, "\(failed)")
                try proxy.fail(.none)
            }

            func expectWhole() throws {
                #expect(try kept() == nil)
                try host.ok("system", "check")
                try host.ok("rmi", "-f", try host.ok("images", "-q"))
                try CrashTests.expectEmpty(host)
            }
        }

        @Test func aKilledPullGoesOn() throws {
            try Host.with { host in
                let scene = try Scene(host)
                try scene.proxy.fail(.stall(after: 4_000_000))
                let pull = try host.start("pull", "-q", scene.name)
                try host.eventually("most of the layer is here") {
                    try (scene.kept()?.size ?? 0) > 3_000_000
                }
                pull.send(SIGKILL)
                _ = try pull.finish()
                let size = try #require(try scene.kept()).size
                #expect(try host.ok("images", "-q") == "")
                try scene.proxy.fail(.none)
                try host.ok("pull", "-q", scene.name)
                #expect(scene.ranges == ["", "bytes=\(size)-"])
                try scene.expectWhole()
            }
        }

        @Test func aLostNetworkComesBack() throws {
            try Host.with { host in
                let scene = try Scene(host)
                try scene.loseNetwork(after: 4_000_000)
                let kept = try #require(try scene.kept())
                #expect(try host.ok("system", "df", "--format", "{{.Reclaimable}}").contains("MB (100%)"))
                // What is kept may be anything after a power failure: then it is fetched anew.
                var bytes = try File.read(kept.path)
                for index in 1_000_000..<1_004_096 { bytes[index] = 0 }
                try File.replace(kept.path, with: bytes)
                try host.ok("pull", "-q", scene.name)
                #expect(scene.ranges == ["", "bytes=\(kept.size)-", ""])
                try scene.expectWhole()
            }
        }

        @Test func aPruneRemovesWhatIsKept() throws {
            try Host.with { host in
                let scene = try Scene(host)
                try scene.loseNetwork(after: 4_000_000)
                #expect(try scene.kept() != nil)
                try host.ok("system", "prune", "-f")
                #expect(try scene.kept() == nil)
                try host.ok("pull", "-q", scene.name)
                #expect(scene.ranges == ["", ""])
                try scene.expectWhole()
            }
        }
    }
}
