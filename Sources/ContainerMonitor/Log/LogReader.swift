public import LinuxSystem

/// Reads a container's log: its rotated files from the oldest to the newest as
/// one, and on as it grows.
public final class LogReader {
    public struct Options: Sendable {
        public var stdout = true
        public var stderr = true
        /// Records of this time and later.
        public var since: Timestamp?
        /// Records of this time and earlier.
        public var until: Timestamp?
        /// So many lines from the end; nil is all.
        public var tail: Int?
        /// Goes on until the container has ended; needs `statusPath`.
        public var follow = false
        /// The container's `status.json`: tells when it has ended.
        public var statusPath: String?
        /// Gives each record its time; `print` puts it before each line, with nine
        /// digits of a second.
        public var timestamps = false
        public init() {}
    }

    let configuration: LogConfiguration
    let options: Options
    private var parser: LogRecordParser
    private var files: LogFileChain
    /// The beginning of a record whose end is not in the file yet.
    private var carried: [UInt8] = []
    private let buffer = PageBuffer(size: LogReader.bufferSize)
    private static let bufferSize = 256 << 10
    /// A longer line is no record.
    private static let longestLine = 1 << 20

    /// - Throws: `invalidDocument` when the container has no log to read.
    public init(_ configuration: LogConfiguration, _ options: Options) throws(MonitorError) {
        guard configuration.driver != .none else {
            throw MonitorError(.invalidDocument, "log driver \"none\" does not keep what was written")
        }
        self.configuration = configuration
        self.options = options
        parser = LogRecordParser(
            configuration.driver,
            wantsTime: options.timestamps || options.since != nil || options.until != nil)
        files = try system { () throws(SystemError) in try LogFileChain(configuration) }
    }

    /// Gives each record that was asked for to `body`, until it answers false.
    /// - Parameter idle: called whenever there is nothing more at present.
    public func read(idle: () -> Void = {}, _ body: (LogRecord) -> Bool) throws(MonitorError) {
        do throws(SystemError) {
            if let tail = options.tail { try files.seek(toLast: tail, configuration.driver) }
            guard options.follow, let statusPath = options.statusPath else {
                _ = try readToEnd(body)
                idle()
                return
            }
            let changes = LogChanges(configuration.path, statusPath: statusPath)
            while true {
                // Asked before reading: what was written before the end is then read.
                let hasEnded = changes.hasEnded
                guard try readToEnd(body) else { return }
                idle()
                if hasEnded { return }
                changes.wait()
            }
        } catch {
            throw MonitorError(error)
        }
    }

    /// - Returns: false when `body` wants no more.
    private func readToEnd(_ body: (LogRecord) -> Bool) throws(SystemError) -> Bool {
        while true {
            let count = try files.read(
                into: UnsafeMutableRawBufferPointer(start: buffer.bytes, count: Self.bufferSize))
            if count == 0 {
                // A rotated file has no more to come, and ends with a whole record.
                guard try files.advance() else { return true }
                continue
            }
            guard take(UnsafeRawBufferPointer(start: buffer.bytes, count: count), body) else { return false }
        }
    }

    private func take(_ bytes: UnsafeRawBufferPointer, _ body: (LogRecord) -> Bool) -> Bool {
        var position = 0
        while position < bytes.count {
            let start = bytes.baseAddress! + position
            guard let newline = memchr(start, 0x0A, bytes.count - position) else {
                carried.append(contentsOf: bytes[position...])
                if carried.count > Self.longestLine { carried = [] }
                return true
            }
            let count = UnsafeRawPointer(newline) - start
            position += count + 1
            if carried.isEmpty {
                if !give(UnsafeRawBufferPointer(start: start, count: count), body) { return false }
            } else {
                carried.append(contentsOf: UnsafeRawBufferPointer(start: start, count: count))
                let line = carried
                carried = []
                if !line.withUnsafeBytes({ give($0, body) }) { return false }
            }
        }
        return true
    }

    private func give(_ line: UnsafeRawBufferPointer, _ body: (LogRecord) -> Bool) -> Bool {
        var goesOn = true
        // What is no record (a torn write of a crashed host) is passed over.
        _ = parser.parse(line) { record in
            guard record.stream == .stdout ? options.stdout : options.stderr else { return }
            if let since = options.since, record.time! < since { return }
            if let until = options.until, record.time! > until {
                goesOn = false
                return
            }
            goesOn = body(record)
        }
        return goesOn
    }

    /// Writes the text of the log, each stream to its own descriptor.
    /// - Throws: `system` with EPIPE when the output is closed.
    public func print(to output: Int32 = 1, _ error: Int32 = 2) throws(MonitorError) {
        var printer = LogPrinter(output, error, timestamps: options.timestamps)
        var failure: SystemError?
        func attempt(_ body: () throws(SystemError) -> Void) {
            do throws(SystemError) { try body() } catch { failure = error }
        }
        func idle() { attempt { () throws(SystemError) in try printer.flush() } }
        try read(idle: idle) { record in
            attempt { () throws(SystemError) in try printer.add(record) }
            return failure == nil
        }
        attempt { () throws(SystemError) in try printer.flush() }
        if let failure { throw MonitorError(failure) }
    }
}

/// Collects what goes to one descriptor as long as the next record goes there too.
private struct LogPrinter {
    private let output: Int32
    private let error: Int32
    private let timestamps: Bool
    private var buffer: [UInt8] = []
    private var stream = LogStream.stdout
    private var isWithinLine: (stdout: Bool, stderr: Bool) = (false, false)

    init(_ output: Int32, _ error: Int32, timestamps: Bool) {
        self.output = output
        self.error = error
        self.timestamps = timestamps
        buffer.reserveCapacity(80 << 10)
    }

    mutating func add(_ record: LogRecord) throws(SystemError) {
        if record.stream != stream || buffer.count >= 64 << 10 { try flush() }
        stream = record.stream
        let continues = stream == .stdout ? isWithinLine.stdout : isWithinLine.stderr
        if timestamps, !continues, let time = record.time {
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 40) { bytes in
                let count = time.write(to: bytes.baseAddress!, fullFraction: true)
                buffer.append(contentsOf: bytes[..<count])
            }
            buffer.append(0x20)
        }
        buffer.append(contentsOf: record.text)
        if record.endsLine { buffer.append(0x0A) }
        if stream == .stdout {
            isWithinLine.stdout = !record.endsLine
        } else {
            isWithinLine.stderr = !record.endsLine
        }
    }

    mutating func flush() throws(SystemError) {
        if buffer.isEmpty { return }
        try FD.writeAll(stream == .stdout ? output : error, buffer)
        buffer.removeAll(keepingCapacity: true)
    }
}
