import LinuxSystem

/// Docker's json-file: `{"log":"text\n","stream":"stdout","time":"…"}` a line.
///
/// A line longer than 16 KiB is split there; all but its last record lack the
/// `\n`, and all have the time of the first. A line that has not ended is not
/// written before it does, or before the stream ends.
final class JSONFileLog: LogDriver {
    private let file: LogFile
    private var stdout = OpenLine()
    private var stderr = OpenLine()

    /// The part of a line that came and was not written yet.
    private struct OpenLine {
        var text: [UInt8] = []
        /// The time of the records that were already written of this line.
        var time: Timestamp?
    }

    init(_ configuration: LogConfiguration) throws(SystemError) {
        file = try LogFile(configuration) { lost in
            Array(
                "{\"log\":\"\(lossNote(lost))\\n\",\"stream\":\"stderr\",\"time\":\"\(Timestamp.now)\"}\n"
                    .utf8)
        }
    }

    func write(_ stream: LogStream, _ bytes: UnsafeRawBufferPointer) {
        if stream == .stdout { write(stream, bytes, &stdout) } else { write(stream, bytes, &stderr) }
        file.flush()
    }

    func end(_ stream: LogStream) {
        func finish(_ line: inout OpenLine) {
            if !line.text.isEmpty {
                let ending = Ending(stream, line.time ?? .now)
                line.text.withUnsafeBytes { record($0, endsLine: false, ending) }
            }
            line = OpenLine()
        }
        if stream == .stdout { finish(&stdout) } else { finish(&stderr) }
        file.flush()
    }

    func releaseMemory() { file.releaseMemory() }

    private func write(_ stream: LogStream, _ bytes: UnsafeRawBufferPointer, _ line: inout OpenLine) {
        guard !bytes.isEmpty else { return }
        let now = Timestamp.now
        let ending = Ending(stream, now)
        var position = 0
        while position < bytes.count {
            let start = bytes.baseAddress! + position
            let wanted = longestPiece - line.text.count
            let available = min(bytes.count - position, wanted)
            let newline = memchr(start, 0x0A, available)
            let count = newline.map { UnsafeRawPointer($0) - start } ?? available
            let piece = UnsafeRawBufferPointer(start: start, count: count)
            position += newline == nil ? count : count + 1
            if newline == nil, count < wanted {
                line.text.append(contentsOf: piece)
                return
            }
            let lineEnding = line.time.map { Ending(stream, $0) } ?? ending
            if line.text.isEmpty {
                record(piece, endsLine: newline != nil, lineEnding)
            } else {
                line.text.append(contentsOf: piece)
                line.text.withUnsafeBytes { record($0, endsLine: newline != nil, lineEnding) }
                line.text = []
            }
            if newline != nil {
                line.time = nil
            } else if line.time == nil {
                line.time = now
            }
        }
    }

    /// `","stream":"stdout","time":"…"}` and the line's end.
    private struct Ending {
        var bytes: InlineArray<80, UInt8> = .init(repeating: 0)
        var count = 0

        init(_ stream: LogStream, _ time: Timestamp) {
            append(
                stream == .stdout
                    ? "\",\"stream\":\"stdout\",\"time\":\"" : "\",\"stream\":\"stderr\",\"time\":\"")
            var count = count
            withUnsafeMutableBytes(of: &bytes) { buffer in
                count += time.write(
                    to: buffer.baseAddress!.assumingMemoryBound(to: UInt8.self) + count, fullFraction: false)
            }
            self.count = count
            append("\"}\n")
        }

        private mutating func append(_ text: StaticString) {
            let start = count
            withUnsafeMutableBytes(of: &bytes) {
                _ = memcpy($0.baseAddress! + start, text.utf8Start, text.utf8CodeUnitCount)
            }
            count += text.utf8CodeUnitCount
        }

        func copy(to output: UnsafeMutablePointer<UInt8>) -> Int {
            withUnsafeBytes(of: bytes) { _ = memcpy(output, $0.baseAddress!, count) }
            return count
        }
    }

    private func record(_ text: UnsafeRawBufferPointer, endsLine: Bool, _ ending: Ending) {
        file.record { output in
            var used = 8
            memcpy(output, "{\"log\":\"", 8)
            used += JSONEscaping.write(text, to: output + used)
            if endsLine {
                output[used] = UInt8(ascii: "\\")
                output[used + 1] = UInt8(ascii: "n")
                used += 2
            }
            return used + ending.copy(to: output + used)
        }
    }
}
