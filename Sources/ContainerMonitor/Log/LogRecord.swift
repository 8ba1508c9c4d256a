import JSONText
public import LinuxSystem

/// One record of a log: a line, or a part of a long one.
public struct LogRecord {
    public var stream: LogStream
    /// nil when nobody asked for it.
    public var time: Timestamp?
    /// Without the line's end. Valid during the call that it was given to.
    public var text: UnsafeRawBufferPointer
    public var endsLine: Bool
}

/// Takes records apart. One value a reader: it owns the room for unescaped text.
struct LogRecordParser {
    let driver: LogConfiguration.Driver
    let wantsTime: Bool
    private var text: [UInt8] = []

    init(_ driver: LogConfiguration.Driver, wantsTime: Bool) {
        self.driver = driver
        self.wantsTime = wantsTime
    }

    /// - Parameter line: a line of the file, without its end.
    /// - Returns: false when it is no record; nothing was called then.
    mutating func parse(_ line: UnsafeRawBufferPointer, _ body: (LogRecord) -> Void) -> Bool {
        driver == .jsonFile ? parseJSON(line, body) : parseKubernetes(line, body)
    }

    private func parseKubernetes(_ line: UnsafeRawBufferPointer, _ body: (LogRecord) -> Void) -> Bool {
        guard let start = line.baseAddress,
            let first = memchr(start, 0x20, min(line.count, 64)).map({ UnsafeRawPointer($0) - start }),
            line.count >= first + 10
        else { return false }
        let stream: LogStream
        switch (line[first + 4], line[first + 7]) {
        // s t d o u t · or s t d e r r ·
        case (UInt8(ascii: "o"), UInt8(ascii: " ")): stream = .stdout
        case (UInt8(ascii: "e"), UInt8(ascii: " ")): stream = .stderr
        default: return false
        }
        let tag = line[first + 8]
        guard tag == UInt8(ascii: "F") || tag == UInt8(ascii: "P") else { return false }
        // Tags may follow the first, between colons; then a space, then the text.
        var textStart = first + 9
        while textStart < line.count, line[textStart] != 0x20 { textStart += 1 }
        textStart = min(textStart + 1, line.count)
        let time = wantsTime ? Timestamp(parsing: UnsafeRawBufferPointer(rebasing: line[..<first])) : nil
        if wantsTime, time == nil { return false }
        body(
            LogRecord(
                stream: stream, time: time, text: UnsafeRawBufferPointer(rebasing: line[textStart...]),
                endsLine: tag == UInt8(ascii: "F")))
        return true
    }

    private mutating func parseJSON(_ line: UnsafeRawBufferPointer, _ body: (LogRecord) -> Void) -> Bool {
        // As Docker and we write it, without a general parser's work.
        let opening: StaticString = "{\"log\":\""
        guard line.count > opening.utf8CodeUnitCount,
            memcmp(line.baseAddress!, opening.utf8Start, opening.utf8CodeUnitCount) == 0,
            let end = unescape(line, from: opening.utf8CodeUnitCount)
        else { return parseAnyJSON(line, body) }
        let middle: StaticString = "\",\"stream\":\"std"
        let length = middle.utf8CodeUnitCount
        guard line.count > end + length + 14,
            memcmp(line.baseAddress! + end, middle.utf8Start, length) == 0
        else { return parseAnyJSON(line, body) }
        let isError = line[end + length] == UInt8(ascii: "e")
        let timeOpening: StaticString = "\",\"time\":\""
        let timeStart = end + length + 3 + timeOpening.utf8CodeUnitCount
        guard line.count > timeStart + 2,
            memcmp(line.baseAddress! + end + length + 3, timeOpening.utf8Start, timeOpening.utf8CodeUnitCount)
                == 0,
            line[line.count - 1] == UInt8(ascii: "}"), line[line.count - 2] == UInt8(ascii: "\"")
        else { return parseAnyJSON(line, body) }
        var time: Timestamp?
        if wantsTime {
            time = Timestamp(parsing: UnsafeRawBufferPointer(rebasing: line[timeStart..<(line.count - 2)]))
            if time == nil { return false }
        }
        give(isError ? .stderr : .stdout, time, body)
        return true
    }

    private func give(_ stream: LogStream, _ time: Timestamp?, _ body: (LogRecord) -> Void) {
        text.withUnsafeBytes { bytes in
            let endsLine = bytes.last == 0x0A
            body(
                LogRecord(
                    stream: stream, time: time,
                    text: UnsafeRawBufferPointer(rebasing: endsLine ? bytes.dropLast() : bytes[...]),
                    endsLine: endsLine))
        }
    }

    /// Other members, another order: Docker with labels, other programs.
    private mutating func parseAnyJSON(_ line: UnsafeRawBufferPointer, _ body: (LogRecord) -> Void) -> Bool {
        guard let json = try? JSON(parsing: line.bindMemory(to: UInt8.self)), let log = json["log"]?.string,
            let stream = json["stream"]?.string
        else { return false }
        let time = json["time"]?.string.flatMap { Timestamp(parsing: $0) }
        if wantsTime, time == nil { return false }
        text = Array(log.utf8)
        give(stream == "stderr" ? .stderr : .stdout, time, body)
        return true
    }

    /// Puts a string's text into `text`.
    /// - Returns: where its closing quote is; nil when it has none or an escape is wrong.
    private mutating func unescape(_ line: UnsafeRawBufferPointer, from start: Int) -> Int? {
        text.removeAll(keepingCapacity: true)
        let base = line.baseAddress!
        var position = start
        while true {
            guard let quote = memchr(base + position, 0x22, line.count - position) else { return nil }
            let end = UnsafeRawPointer(quote) - base
            let backslash = memchr(base + position, 0x5C, end - position).map { UnsafeRawPointer($0) - base }
            text.append(contentsOf: line[position..<(backslash ?? end)])
            guard let backslash else { return end }
            guard backslash + 1 < line.count else { return nil }
            position = backslash + 2
            switch line[backslash + 1] {
            case UInt8(ascii: "n"): text.append(0x0A)
            case UInt8(ascii: "r"): text.append(0x0D)
            case UInt8(ascii: "t"): text.append(0x09)
            case UInt8(ascii: "b"): text.append(0x08)
            case UInt8(ascii: "f"): text.append(0x0C)
            case UInt8(ascii: "u"):
                guard let unit = hexadecimal(line, position) else { return nil }
                position += 4
                var scalar = UInt32(unit)
                if unit & 0xFC00 == 0xD800, position + 6 <= line.count, line[position] == 0x5C,
                    line[position + 1] == UInt8(ascii: "u"), let low = hexadecimal(line, position + 2),
                    low & 0xFC00 == 0xDC00
                {
                    scalar = 0x10000 + (UInt32(unit & 0x3FF) << 10 | UInt32(low & 0x3FF))
                    position += 6
                }
                text.append(contentsOf: Character(Unicode.Scalar(scalar) ?? "\u{FFFD}").utf8)
            case let other: text.append(other)
            }
        }
    }

    private func hexadecimal(_ line: UnsafeRawBufferPointer, _ start: Int) -> UInt16? {
        guard start + 4 <= line.count else { return nil }
        var value: UInt16 = 0
        for byte in line[start..<(start + 4)] {
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt16(byte - 0x30)
            case 0x41...0x46: value = value << 4 | UInt16(byte - 0x41 + 10)
            case 0x61...0x66: value = value << 4 | UInt16(byte - 0x61 + 10)
            default: return nil
            }
        }
        return value
    }
}
