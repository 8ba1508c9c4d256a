import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    @Suite struct LogsTests {
        @Test func bothStreamsWithTailSinceAndTimes() throws {
            try Host.with { host in
                let id = try host.detached(
                    "--network", "none", try host.busybox(), "sh", "-c",
                    "for i in 1 2 3 4 5; do echo out$i; done; echo err >&2")
                try host.ok("wait", id)
                let all = try host.apus("logs", id)
                #expect(all.text == "out1\nout2\nout3\nout4\nout5")
                #expect(all.errorText == "err")
                #expect(try host.apus("logs", "--tail", "2", id).text.hasSuffix("out5"))
                #expect(try host.apus("logs", "--tail", "0", id).text == "")
                let timed = try host.apus("logs", "-t", id).lines
                #expect(timed.allSatisfy { $0.hasPrefix("20") && $0.contains("T") && $0.contains(" out") })
                #expect(try host.apus("logs", "--since", "2100-01-01T00:00:00Z", id).text == "")
                #expect(try host.apus("logs", "--since", "1h", id).lines.count == 5)
            }
        }

        @Test func followsUntilTheEnd() throws {
            try Host.with { host in
                let id = try host.detached(
                    "--network", "none", try host.busybox(), "sh", "-c",
                    "echo first; while [ ! -e /go ]; do sleep 0.05; done; echo last")
                let follower = try host.start("logs", "-f", id)
                try follower.wait(for: "first line") { follower.text.contains("first\n") }
                try host.ok("exec", id, "touch", "/go")
                let finished = try follower.finish()
                #expect(finished.text == "first\nlast")
                #expect(finished.exit == 0)
            }
        }

        @Test func longAndUnfinishedLinesStayWhole() throws {
            try Host.with { host in
                let id = try host.detached(
                    "--network", "none", try host.busybox(), "sh", "-c",
                    "head -c 100000 /dev/zero | tr '\\0' a; echo; printf unfinished")
                try host.ok("wait", id)
                let output = try host.apus("logs", id).text
                #expect(output == String(repeating: "a", count: 100_000) + "\nunfinished")
            }
        }

        @Test(arguments: ["json-file", "k8s-file"])
        func writesTheFormatAndRotates(driver: String) throws {
            try Host.with { host in
                // podman's json-file is its k8s-file.
                if Programs.peer != nil, driver == "json-file" { return }
                let file = host.path("the.log")
                var options = [
                    "run", "-d", "--network", "none", "--log-driver", driver, "--log-opt", "max-size=20k",
                ]
                if Programs.peer == nil { options += ["--log-opt", "max-file=3"] }
                options += [
                    "--log-opt", "path=\(file)", try host.busybox(), "sh", "-c",
                    "i=0; while [ $i -lt 2000 ]; do echo line number $i; i=$((i+1)); done",
                ]
                let id = try host.apus(list: options).text
                try host.ok("wait", id)
                let last = try host.apus("logs", "--tail", "1", id).text
                #expect(last == "line number 1999")
                #expect(try File.status(file).st_size <= 24 << 10)
                guard Programs.peer == nil else { return }
                #expect(try File.status("\(file).1").st_size <= 24 << 10)
                #expect(try File.status("\(file).2").st_size <= 24 << 10)
                #expect(!File.exists("\(file).3"))
                // The newest three files hold the last lines without a gap.
                let kept = try host.apus("logs", id).lines
                let first = Int(kept.first?.fields.last ?? "") ?? -1
                #expect(kept == (first...1999).map { "line number \($0)" })
                let line = try File.readText(file).split(separator: "\n")[0]
                if driver == "json-file" {
                    let entry = try JSON(parsing: String(line))
                    #expect(entry["stream"] == "stdout")
                    #expect(entry["log"]?.string?.hasPrefix("line number ") ?? false)
                    #expect(entry["time"]?.string?.hasSuffix("Z") ?? false)
                } else {
                    #expect(line.fields[1] == "stdout" && line.fields[2] == "F")
                }
            }
        }

        @Test func noDriverNoLog() throws {
            try Host.with { host in
                let id = try host.detached(
                    "--network", "none", "--log-driver", "none", try host.busybox(), "echo", "x")
                try host.ok("wait", id)
                let logs = try host.apus("logs", id)
                #expect(logs.text == "")
            }
        }

        @Test func outputOfATerminalIsLogged() throws {
            try Host.with { host in
                let id = try host.detached(
                    "-t", "--network", "none", try host.busybox(), "sh", "-c", "tty; echo on a terminal")
                try host.ok("wait", id)
                #expect(try host.ok("logs", id).contains("on a terminal\r"))
            }
        }
    }
}
