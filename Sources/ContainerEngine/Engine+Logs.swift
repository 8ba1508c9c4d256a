import ContainerMonitor
public import LinuxSystem

/// What `logs` shows.
public struct LogsRequest: Sendable {
    public var follow = false
    public var timestamps = false
    /// How many lines from the end; nil for all.
    public var tail: Int?
    public var since: Timestamp?
    public var until: Timestamp?
    public init() {}
}

extension Engine {
    /// Writes a container's log to our standard output and error.
    public func logs(of record: ContainerRecord, _ request: LogsRequest) throws(EngineError) {
        var options = LogReader.Options()
        options.follow = request.follow
        options.timestamps = request.timestamps
        options.tail = request.tail
        options.since = request.since
        options.until = request.until
        options.statusPath = statusPath(of: record.id)
        let configuration = logConfiguration(of: record)
        guard configuration.driver == .none || File.exists(configuration.path) else { return }
        try engineErrors("logs of \(record.name)") { try LogReader(configuration, options).print() }
    }

    func logConfiguration(of record: ContainerRecord) -> LogConfiguration {
        let options = record.spec.logOptions
        return LogConfiguration(
            LogConfiguration.Driver(rawValue: record.spec.logDriver ?? "") ?? .jsonFile,
            path: options["path"] ?? "\(directory(of: record.id))/container.log",
            maximumSize: options["max-size"].flatMap(ByteSize.parse),
            maximumFiles: options["max-file"].flatMap(Int.init) ?? 1)
    }
}
