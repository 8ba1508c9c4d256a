import JSONText
import LinuxSystem
import Testing

@testable import ContainerMonitor

@Suite struct TimestampTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0, 0), ("2024-02-29T23:59:59.5Z", 1_709_251_199, 500_000_000),
        ("2000-03-01T00:00:00.000000001Z", 951_868_800, 1), ("1969-12-31T23:59:59Z", -1, 0),
        ("2100-12-31T12:34:56Z", 4_133_939_696, 0),
    ]) func writesAndReads(_ text: String, _ seconds: Int64, _ nanoseconds: Int32) {
        let time = Timestamp(seconds: seconds, nanoseconds: nanoseconds)
        #expect(time.description == text)
        #expect(Timestamp(parsing: text) == time)
    }

    @Test func readsOffsets() {
        #expect(
            Timestamp(parsing: "2024-01-01T01:30:00.25+01:30")
                == Timestamp(parsing: "2024-01-01T00:00:00.25Z"))
        #expect(Timestamp(parsing: "2023-12-31t22:00:00-02:00") == Timestamp(parsing: "2024-01-01T00:00:00Z"))
    }

    @Test(arguments: [
        "", "2024", "2024-13-01T00:00:00Z", "2024-01-01T00:00:00", "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00Zx",
    ])
    func refuses(_ text: String) { #expect(Timestamp(parsing: text) == nil) }

    @Test func agreesWithTheLibrary() {
        for seconds in stride(from: Int64(-5_000_000_000), to: 20_000_000_000, by: 12_345_677) {
            var time = time_t(seconds)
            var parts = tm()
            gmtime_r(&time, &parts)
            let text = Timestamp(seconds: seconds).description
            #expect(Int(text.prefix(4)) == Int(parts.tm_year) + 1900)
            #expect(Int(text.dropFirst(5).prefix(2)) == Int(parts.tm_mon) + 1)
            #expect(Int(text.dropFirst(8).prefix(2)) == Int(parts.tm_mday))
            #expect(Timestamp(parsing: text)?.seconds == seconds)
        }
    }
}

@Suite struct DetachKeysTests {
    @Test(
        arguments: [
            ("ctrl-p,ctrl-q", [0x10, 0x11]), ("a", [0x61]),
            ("a,ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_,DEL", [0x61, 0, 27, 28, 29, 30, 31, 127]),
            ("", []),
        ] as [(String, [UInt8])]) func parses(_ text: String, _ bytes: [UInt8]) throws
    {
        #expect(try DetachKeys(parsing: text).bytes == bytes)
    }

    @Test(arguments: ["ctrl-", "ctrl-1", "ab", "a,,b", "shift-a", "ctrl-p,"]) func refuses(_ text: String) {
        #expect(throws: MonitorError.self) { try DetachKeys(parsing: text) }
    }

    private func filter(_ keys: [UInt8], _ chunks: [[UInt8]]) -> (output: [UInt8], detaches: Bool) {
        var matcher = DetachKeyMatcher(DetachKeys(bytes: keys))
        var output: [UInt8] = []
        for chunk in chunks {
            let result = chunk.withUnsafeBytes { matcher.filter($0) }
            output += result.output
            if result.detaches { return (output, true) }
        }
        return (output, false)
    }

    @Test func matches() {
        #expect(filter([1, 2], [[5, 1, 2, 6]]) == ([5], true))
        #expect(filter([1, 2], [[5, 1], [2]]) == ([5], true))
        #expect(filter([1, 2], [[1], [3]]) == ([1, 3], false))
        #expect(filter([1, 2], [[1, 1, 2]]) == ([1], true))
        #expect(filter([1, 1, 2], [[1, 1, 1, 2]]) == ([1], true))
        #expect(filter([1, 1, 2], [[1, 1, 1, 3]]) == ([1, 1, 1, 3], false))
        #expect(filter([1, 2, 1, 3], [[1, 2, 1, 2, 1, 3]]) == ([1, 2], true))
        #expect(filter([], [[1, 2]]) == ([1, 2], false))
    }
}

@Suite struct RestartPolicyTests {
    @Test(arguments: [
        ("no", RestartPolicy.no), ("", .no), ("always", .always), ("unless-stopped", .unlessStopped),
        ("on-failure", .onFailure(maximum: 0)), ("on-failure:5", .onFailure(maximum: 5)),
    ]) func parses(_ text: String, _ policy: RestartPolicy) {
        #expect(RestartPolicy(parsing: text) == policy)
    }

    @Test(arguments: ["never", "always:3", "on-failure:x", "on-failure:-1", "no:1"]) func refuses(
        _ text: String
    ) {
        #expect(RestartPolicy(parsing: text) == nil)
    }

    @Test func decides() {
        #expect(!RestartPolicy.no.wantsRestart(exitCode: 1, restarts: 0))
        #expect(RestartPolicy.always.wantsRestart(exitCode: 0, restarts: 1000))
        #expect(!RestartPolicy.onFailure(maximum: 0).wantsRestart(exitCode: 0, restarts: 0))
        #expect(RestartPolicy.onFailure(maximum: 2).wantsRestart(exitCode: 1, restarts: 1))
        #expect(!RestartPolicy.onFailure(maximum: 2).wantsRestart(exitCode: 1, restarts: 2))
    }

    @Test func delaysGrowUpToAMinute() {
        var delay = RestartDelay()
        #expect(
            (0..<12).map { _ in delay.next(ranSeconds: 1) } == [
                100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000,
            ])
        #expect(delay.next(ranSeconds: 10) == 100)
    }
}

@Suite struct DocumentTests {
    @Test func aRequestSurvivesItsJSON() throws {
        var request = MonitorRequest(
            id: "a", bundle: "/b", runtimeRoot: "/r",
            log: LogConfiguration(.kubernetesFile, path: "/l", maximumSize: 5, maximumFiles: 3),
            attachSocket: "/s", statusPath: "/st", exitPath: "/e")
        request.restart = .onFailure(maximum: 3)
        request.exitCommand = ["/x", "y"]
        request.descriptors = [10, 11]
        request.openStdin = true
        #expect(try MonitorRequest(json: JSON(parsing: request.json.text())) == request)
        request.descriptors = [3]
        #expect(throws: JSONError.self) { try MonitorRequest(json: request.json) }
    }

    @Test func attachMessagesSurviveTheirBytes() {
        let messages: [AttachMessage] = [
            .hello([.stdin, .foreground]), .resize(.init(rows: 50, columns: 65535)), .signal(15), .inputEnded,
            .requestStop, .cleaned, .attached(isTerminal: true), .done(3), .exited(-1), .dropped,
        ]
        for message in messages { #expect(AttachMessage(message.bytes) == message) }
        for bytes: [UInt8] in [[], [0], [2, 1], [99, 1, 1]] { #expect(AttachMessage(bytes) == nil) }
    }
}
