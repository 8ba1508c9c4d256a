import JSONText
import LinuxSystem
import Testing

@testable import ContainerMonitor

/// A directory for one test's logs.
final class LogDirectory {
    let path: String
    private let isMounted: Bool

    /// - Parameter size: a file system of its own of so many bytes.
    init(size: Int? = nil) throws {
        path = "/tmp/apus-log-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try File.makeDirectory(path)
        isMounted = size != nil
        if let size {
            guard mount("tmpfs", path, "tmpfs", 0, "size=\(size)") == 0 else {
                throw SystemError("mount", path, .current)
            }
        }
    }

    deinit {
        if isMounted { umount2(path, Int32(MNT_DETACH)) }
        try? File.removeTree(path)
    }

    func configuration(
        _ driver: LogConfiguration.Driver, maximumSize: Int64? = nil, maximumFiles: Int = 1
    ) -> LogConfiguration {
        LogConfiguration(driver, path: path + "/log", maximumSize: maximumSize, maximumFiles: maximumFiles)
    }

    func lines(_ number: Int = 0) throws -> [Substring] {
        try File.readText(number == 0 ? path + "/log" : "\(path)/log.\(number)").split(separator: "\n")
    }
}

extension LogDriver {
    func write(_ stream: LogStream, _ text: String) { Array(text.utf8).withUnsafeBytes { write(stream, $0) } }
}

extension LogReader {
    /// All that it reads, each record as `o:` or `e:`, its text, and `$` where a line ends.
    func texts() throws -> [String] {
        var texts: [String] = []
        try read { record in
            let text = String(decoding: record.text, as: UTF8.self)
            texts.append((record.stream == .stdout ? "o:" : "e:") + text + (record.endsLine ? "$" : ""))
            return true
        }
        return texts
    }
}

@Suite struct JSONFileLogTests {
    /// The log member's text as it stands in the file.
    private func written(_ text: String) throws -> [Substring] {
        let directory = try LogDirectory()
        let log = try #require(try directory.configuration(.jsonFile).open())
        log.write(.stdout, text)
        log.end(.stdout)
        return try directory.lines().map { line in
            let start = try #require(line.firstRange(of: "{\"log\":\""))
            let end = try #require(line.firstRange(of: "\",\"stream\":\"stdout\",\"time\":\"2"))
            #expect(start.lowerBound == line.startIndex && line.hasSuffix("Z\"}"))
            return line[start.upperBound..<end.lowerBound]
        }
    }

    @Test func escapesAsDockerDoes() throws {
        #expect(
            try written("a\tb\rc\"d\\e<f>g&h\u{1}i\u{7f}j\n") == [
                #"a\tb\rc\"d\\e\u003cf\u003eg\u0026h\u0001i"# + "\u{7f}j\\n"
            ])
        #expect(try written("grün €🎈 \u{2028}\u{2029}\n") == [#"grün €🎈 \u2028\u2029\n"#])
    }

    @Test func bytesThatAreNoTextBecomeReplacements() throws {
        let directory = try LogDirectory()
        let log = try #require(try directory.configuration(.jsonFile).open())
        // A lone continuation, an overlong slash, a surrogate, a cut-off euro sign.
        let bytes: [UInt8] = [0x80, 0x41, 0xC0, 0xAF, 0x42, 0xED, 0xA0, 0x80, 0x43, 0xE2, 0x82, 0x0A]
        bytes.withUnsafeBytes { log.write(.stdout, $0) }
        let line = try #require(try directory.lines().first)
        #expect(
            line.hasPrefix(
                #"{"log":"\ufffdA\ufffd\ufffdB\ufffd\ufffd\ufffdC\ufffd\ufffd\n","stream":"#))
    }

    @Test(arguments: [0, 1, 15, 16, 17, 31, 32, 33, 100, 1000])
    func everyLengthSurvives(_ length: Int) throws {
        for special in ["", "\"", "€", "\u{1}"] {
            let text = String(repeating: "x", count: length) + special + String(repeating: "y", count: length)
            let directory = try LogDirectory()
            let configuration = directory.configuration(.jsonFile)
            let log = try #require(try configuration.open())
            log.write(.stderr, text + "\n")
            #expect(try LogReader(configuration, .init()).texts() == ["e:" + text + "$"])
            for line in try directory.lines() { _ = try JSON(parsing: String(line)) }
        }
    }

    @Test func longLinesAreSplitAt16KiB() throws {
        let long = String(repeating: "a", count: 16384)
        #expect(try written(long + "\n") == [Substring(long), "\\n"])
        #expect(try written(long + "b\n") == [Substring(long), "b\\n"])
        #expect(try written(long + long + "c") == [Substring(long), Substring(long), "c"])
        let short = String(repeating: "a", count: 16383)
        #expect(try written(short + "\n") == [Substring(short + "\\n")])
    }

    @Test func partsOfALineHaveTheTimeOfTheFirst() throws {
        let directory = try LogDirectory()
        let log = try #require(try directory.configuration(.jsonFile).open())
        log.write(.stdout, String(repeating: "a", count: 16384))
        usleep(2000)
        log.write(.stdout, "b\n")
        usleep(2000)
        log.write(.stdout, "c\n")
        let times = try directory.lines().map { try #require(JSON(parsing: String($0))["time"]?.string) }
        #expect(times.count == 3 && times[0] == times[1] && times[1] != times[2])
    }

    @Test func aLineWaitsForItsEnd() throws {
        let directory = try LogDirectory()
        let configuration = directory.configuration(.jsonFile)
        let log = try #require(try configuration.open())
        log.write(.stdout, "one ")
        log.write(.stderr, "other\n")
        #expect(try LogReader(configuration, .init()).texts() == ["e:other$"])
        log.write(.stdout, "two\nthree")
        #expect(try LogReader(configuration, .init()).texts() == ["e:other$", "o:one two$"])
        log.end(.stdout)
        #expect(try LogReader(configuration, .init()).texts() == ["e:other$", "o:one two$", "o:three"])
    }
}

@Suite struct KubernetesFileLogTests {
    @Test func writesWholeAndPartialLines() throws {
        let directory = try LogDirectory()
        let configuration = directory.configuration(.kubernetesFile)
        let log = try #require(try configuration.open())
        log.write(.stdout, "one\n\ntwo")
        log.write(.stderr, "err\n")
        log.write(.stdout, "2\n")
        let fields = try directory.lines().map {
            $0.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
        }
        #expect(
            fields.map { $0[1...].joined(separator: " ") } == [
                "stdout F one", "stdout F ", "stdout P two", "stderr F err", "stdout F 2",
            ])
        #expect(fields.allSatisfy { Timestamp(parsing: String($0[0])) != nil && $0[0].utf8.count == 30 })
        #expect(
            try LogReader(configuration, .init()).texts() == ["o:one$", "o:$", "o:two", "e:err$", "o:2$"])
    }

    @Test func longLinesAreSplitAt16KiB() throws {
        let directory = try LogDirectory()
        let configuration = directory.configuration(.kubernetesFile)
        let log = try #require(try configuration.open())
        let long = String(repeating: "a", count: 16384)
        log.write(.stdout, long + "\n" + long + "b\n")
        #expect(try LogReader(configuration, .init()).texts() == ["o:\(long)$", "o:\(long)", "o:b$"])
    }
}

@Suite struct LogFileTests {
    @Test(arguments: [LogConfiguration.Driver.jsonFile, .kubernetesFile])
    func rotatesBySize(_ driver: LogConfiguration.Driver) throws {
        let directory = try LogDirectory()
        let configuration = directory.configuration(driver, maximumSize: 1000, maximumFiles: 3)
        let log = try #require(try configuration.open())
        for number in 0..<100 { log.write(.stdout, "line \(number)\n") }
        for number in 0..<3 {
            let size = try File.status("\(directory.path)/log" + (number == 0 ? "" : ".\(number)")).st_size
            #expect(number == 0 ? size <= 1100 : (1000..<1100).contains(size))
        }
        #expect(!File.exists(directory.path + "/log.3"))
        let texts = try LogReader(configuration, .init()).texts()
        #expect(texts == (0..<100).suffix(texts.count).map { "o:line \($0)$" })
        #expect(texts.count > 20)
    }

    @Test func oneFileAloneStartsAgain() throws {
        let directory = try LogDirectory()
        let log = try #require(try directory.configuration(.jsonFile, maximumSize: 1000).open())
        for number in 0..<100 { log.write(.stdout, "line \(number)\n") }
        #expect(try File.status(directory.path + "/log").st_size < 1100)
        #expect(!File.exists(directory.path + "/log.1"))
    }

    @Test(arguments: [LogConfiguration.Driver.jsonFile, .kubernetesFile])
    func aFullDiskLosesWholeRecordsAndSaysSoOnce(_ driver: LogConfiguration.Driver) throws {
        let directory = try LogDirectory(size: 64 << 10)
        let configuration = directory.configuration(driver)
        let filler = directory.path + "/filler"
        let log = try #require(try configuration.open())
        log.write(.stdout, "before\n")
        // Leaves less than a page: the first long write is cut in the middle.
        try File.replace(filler, with: [UInt8](repeating: 0, count: 56 << 10), durable: false)
        let line = String(repeating: "x", count: 3000) + "\n"
        for _ in 0..<10 { log.write(.stdout, line) }
        let full = try LogReader(configuration, .init()).texts()
        #expect(full.count < 11)
        #expect(full.allSatisfy { $0.hasSuffix("$") })
        try File.unlink(filler)
        log.write(.stdout, "after\n")
        log.write(.stdout, "more\n")
        let texts = try LogReader(configuration, .init()).texts()
        #expect(texts.suffix(2) == ["o:after$", "o:more$"])
        #expect(
            texts.filter { $0.hasPrefix("e:") } == [
                "e:[\(11 - full.count) log records lost: the log could not be written]$"
            ])
    }
}
