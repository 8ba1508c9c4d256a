import LinuxSystem
import Testing

extension EndToEnd {
    /// Two hundred containers, 32 at once.
    @Suite(.ours) struct ScaleTests {
        @Test func twoHundredOneAfterAnother() throws {
            try Host.with { host in
                let image = try host.busybox()
                for number in 0..<200 {
                    let finished = try host.apus(
                        "run", "-d", "--name", "\(host.prefix)-\(number)", image, "sleep", "1000")
                    try #require(finished.exit == 0, "container \(number): \(finished)")
                }
                #expect(try host.ok("ps", "-q").split(separator: "\n").count == 200)
                let addresses = try host.ok("ps", "-q").split(separator: "\n").prefix(50).map {
                    try host.ok("inspect", "--format", "{{.NetworkSettings.IPAddress}}", String($0))
                }
                #expect(Set(addresses).count == 50)
                try host.ok("rm", "-f", "-t", "0", "--all", timeout: .seconds(300))
                #expect(try host.ok("ps", "-aq") == "")
            }
        }

        @Test func thirtyTwoAtOnce() throws {
            try Host.with { host in
                let image = try host.busybox()
                let before = Kernel.census()
                for _ in 0..<3 {
                    let runs = try (0..<32).map {
                        try host.start("run", "-d", "--name", "\(host.prefix)-p\($0)", image, "sleep", "1000")
                    }
                    for run in runs {
                        let finished = try run.finish()
                        #expect(finished.exit == 0, "\(finished)")
                    }
                    #expect(try host.ok("ps", "-q").split(separator: "\n").count == 32)
                    let removals = try (0..<32).map {
                        try host.start("rm", "-f", "-t", "0", "\(host.prefix)-p\($0)")
                    }
                    for removal in removals {
                        let finished = try removal.finish()
                        #expect(finished.exit == 0, "\(finished)")
                    }
                    #expect(try host.ok("ps", "-aq") == "")
                }
                // The kernel takes a network namespace down a moment after its last process.
                try host.eventually("nothing is left") { Kernel.census().newer(than: before).isEmpty }
                let attached = try (0..<32).map { try host.start("run", "--rm", image, "echo", "\($0)") }
                for (number, run) in attached.enumerated() {
                    let finished = try run.finish()
                    #expect(finished.text == "\(number)" && finished.exit == 0, "\(finished)")
                }
            }
        }
    }
}
