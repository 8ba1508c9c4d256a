import LinuxSystem
import Testing

extension EndToEnd {
    @Suite struct RunTests {
        @Test func printsAndEndsAsItsProcessDoes() throws {
            try Host.with { host in
                let image = try host.busybox()
                let finished = try host.apus("run", "--rm", "--network", "none", image, "sh", "-c", "echo out; echo err >&2; exit 7")
                #expect(finished.text == "out")
                #expect(finished.errorText == "err")
                #expect(finished.exit == 7)
                #expect(try host.ok("ps", "-aq") == "")
            }
        }
    }
}
