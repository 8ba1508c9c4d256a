import LinuxSystem
import Testing

@testable import ContainerMonitor

@Suite struct LogReaderTests {
    private static let drivers: [LogConfiguration.Driver] = [.jsonFile, .kubernetesFile]

    @Test(arguments: drivers) func tailCountsLinesAcrossFiles(_ driver: LogConfiguration.Driver) throws {
        let directory = try LogDirectory()
        let configuration = directory.configuration(driver, maximumSize: 2000, maximumFiles: 5)
        let log = try #require(try configuration.open())
        for number in 0..<90 { log.write(.stdout, "line \(number)\n") }
        for tail in [0, 1, 2, 30, 45, 60] {
            var options = LogReader.Options()
            options.tail = tail
            let texts = try LogReader(configuration, options).texts()
            #expect(texts == (0..<90).suffix(tail).map { "o:line \($0)$" })
        }
    }

    @Test(arguments: drivers) func tailTakesASplitLineAsOne(_ driver: LogConfiguration.Driver) throws {
        let directory = try LogDirectory()
        let configuration = directory.configuration(driver)
        let log = try #require(try configuration.open())
        let long = String(repeating: "a", count: 16384)
        log.write(.stdout, "first\n\(long)\(long)b\nlast")
        log.end(.stdout)
        var options = LogReader.Options()
        options.tail = 2
        #expect(
            try LogReader(configuration, options).texts() == ["o:\(long)", "o:\(long)", "o:b$", "o:last"])
    }

    @Test func readsDockersFilesWithLabels() throws {
        let directory = try LogDirectory()
        let configuration = directory.configuration(.jsonFile)
        let text = """
            {"log":"a\\u003cb\\n","stream":"stderr","attrs":{"tag":"x"},"time":"2024-02-29T12:00:00.5Z"}
            {"stream":"stdout","log":"\\ud83c\\udf88","time":"2024-02-29T12:00:01Z"}
            not a record

            """
        try File.replace(configuration.path, with: Array(text.utf8))
        #expect(try LogReader(configuration, .init()).texts() == ["e:a<b$", "o:🎈"])
    }

    @Test func sinceAndUntilAndStreams() throws {
        let directory = try LogDirectory()
        let configuration = directory.configuration(.kubernetesFile)
        let text = (0..<10).map {
            "2024-01-01T00:00:0\($0).000000000Z \($0 % 2 == 0 ? "stdout" : "stderr") F \($0)\n"
        }
        try File.replace(configuration.path, with: Array(text.joined().utf8))
        var options = LogReader.Options()
        options.since = Timestamp(parsing: "2024-01-01T00:00:03Z")
        options.until = Timestamp(parsing: "2024-01-01T01:00:06+01:00")
        #expect(try LogReader(configuration, options).texts() == ["e:3$", "o:4$", "e:5$", "o:6$"])
        options.stderr = false
        #expect(try LogReader(configuration, options).texts() == ["o:4$", "o:6$"])
    }

    @Test func printsEachStreamToItsDescriptorWithTimes() throws {
        let directory = try LogDirectory()
        let configuration = directory.configuration(.jsonFile)
        let text = """
            {"log":"out\\n","stream":"stdout","time":"2024-02-29T12:00:00.5Z"}
            {"log":"err\\n","stream":"stderr","time":"2024-02-29T12:00:01Z"}
            {"log":"par","stream":"stdout","time":"2024-02-29T12:00:02Z"}
            {"log":"tial\\n","stream":"stdout","time":"2024-02-29T12:00:02Z"}

            """
        try File.replace(configuration.path, with: Array(text.utf8))
        var options = LogReader.Options()
        options.timestamps = true
        let pipes = try LocalPipes()
        try LogReader(configuration, options).print(to: pipes.local.output, pipes.local.error)
        let results = try pipes.results()
        #expect(
            results.output == "2024-02-29T12:00:00.500000000Z out\n2024-02-29T12:00:02.000000000Z partial\n")
        #expect(results.error == "2024-02-29T12:00:01.000000000Z err\n")
    }

    /// A writer that rotates as fast as it can, and a reader that follows it.
    @Test(arguments: drivers) func followsThroughRotations(_ driver: LogConfiguration.Driver) throws {
        let directory = try LogDirectory()
        let configuration = directory.configuration(driver, maximumSize: 20_000, maximumFiles: 4)
        let statusPath = directory.path + "/status.json"
        let own = try #require(ProcessIdentity(of: getpid()))
        var record = StatusRecord(id: "x", monitor: own)
        record.phase = .running
        try record.write(to: statusPath)
        let log = try #require(try configuration.open())
        log.write(.stdout, "start\n")

        // How far the reader is: the writer stays less than three files ahead.
        let shared = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)!
            .assumingMemoryBound(to: Int.self)
        defer { munmap(shared, 4096) }
        let lines = 20_000
        let child = linux_fork()
        if child == 0 {
            for number in 0..<lines {
                log.write(.stdout, "line \(number)\n")
                while number - shared.pointee > 400 { usleep(50) }
            }
            record.phase = .exited
            try? record.write(to: statusPath)
            _exit(0)
        }
        defer { _ = try? Spawn.wait(child) }
        var options = LogReader.Options()
        options.follow = true
        options.statusPath = statusPath
        var next = -1
        try LogReader(configuration, options).read { record in
            let text = String(decoding: record.text, as: UTF8.self)
            if text != (next < 0 ? "start" : "line \(next)") { return false }
            next += 1
            shared.pointee = next
            return true
        }
        #expect(next == lines)
        if next < lines { kill(child, SIGKILL) }
    }

    @Test func followingEndsWithTheMonitor() throws {
        let directory = try LogDirectory()
        let configuration = directory.configuration(.jsonFile)
        let statusPath = directory.path + "/status.json"
        let child = linux_fork()
        if child == 0 {
            sleep(100)
            _exit(0)
        }
        var record = StatusRecord(id: "x", monitor: try #require(ProcessIdentity(of: child)))
        record.phase = .running
        try record.write(to: statusPath)
        let log = try #require(try configuration.open())
        log.write(.stdout, "only\n")
        var options = LogReader.Options()
        options.follow = true
        options.statusPath = statusPath
        var isKilled = false
        var texts = 0
        try LogReader(configuration, options).read(
            idle: {
                if !isKilled { kill(child, SIGKILL) }
                isKilled = true
            },
            { _ in
                texts += 1
                return true
            })
        #expect(texts == 1)
        _ = try Spawn.wait(child)
    }
}
