import LinuxSystem

/// Keeps a container's output.
///
/// *Record*: what a driver writes for a line, or for a part of a long one.
/// The monitor gives a driver each piece of output as it read it from the
/// container; when `write` returns, every line in it can be read by others.
protocol LogDriver: AnyObject {
    func write(_ stream: LogStream, _ bytes: UnsafeRawBufferPointer)
    /// The stream has ended, for this run: a line without its end is written now.
    func end(_ stream: LogStream)
    /// Gives memory back that only busy times need.
    func releaseMemory()
}

extension LogConfiguration {
    func open() throws(SystemError) -> (any LogDriver)? {
        switch driver {
        case .jsonFile: try JSONFileLog(self)
        case .kubernetesFile: try KubernetesFileLog(self)
        case .none: nil
        }
    }
}

/// What stands in a log for the records that a full disk cost.
func lossNote(_ records: Int) -> String {
    "[\(records) log record\(records == 1 ? "" : "s") lost: the log could not be written]"
}

/// A line's longest piece in one record, as Docker and the kubelet have it.
let longestPiece = 16 << 10
