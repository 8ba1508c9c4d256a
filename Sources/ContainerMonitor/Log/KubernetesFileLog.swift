import LinuxSystem

/// The kubelet's format (KEP "CRI container log", `pkg/kubelet/cri`): time,
/// stream, `F` for the end of a line or `P` for a part of one, and the text as
/// it is. A part is written as soon as it came, as conmon does.
final class KubernetesFileLog: LogDriver {
    private let file: LogFile

    init(_ configuration: LogConfiguration) throws(SystemError) {
        file = try LogFile(configuration) { lost in
            Array("\(Timestamp.now.text(fullFraction: true)) stderr F \(lossNote(lost))\n".utf8)
        }
    }

    func write(_ stream: LogStream, _ bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 64) { prefix in
            var length = Timestamp.now.write(to: prefix.baseAddress!, fullFraction: true)
            let middle: StaticString = stream == .stdout ? " stdout F " : " stderr F "
            memcpy(prefix.baseAddress! + length, middle.utf8Start, middle.utf8CodeUnitCount)
            length += middle.utf8CodeUnitCount
            let tag = length - 2
            var position = 0
            while position < bytes.count {
                let start = bytes.baseAddress! + position
                let available = min(bytes.count - position, longestPiece)
                // The end may stand right behind the longest piece.
                let searched = min(bytes.count - position, longestPiece + 1)
                let end = memchr(start, 0x0A, searched)
                let count = end.map { UnsafeRawPointer($0) - start } ?? available
                prefix[tag] = UInt8(ascii: end == nil ? "P" : "F")
                file.record { output in
                    memcpy(output, prefix.baseAddress!, length)
                    memcpy(output + length, start, count)
                    output[length + count] = 0x0A
                    return length + count + 1
                }
                position += end == nil ? count : count + 1
            }
        }
        file.flush()
    }

    func end(_ stream: LogStream) {}
    func releaseMemory() { file.releaseMemory() }
}
