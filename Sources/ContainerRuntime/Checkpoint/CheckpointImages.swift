import JSONText
import LinuxSystem

/// The directories that CRIU reads and writes, open: it finds them by our descriptors.
struct CheckpointImages {
    private let images: HeldDescriptor
    private let work: HeldDescriptor?
    var raw: Int32 { images.descriptor.raw }
    var workRaw: Int32? { work?.descriptor.raw }
    /// For messages.
    private let logPath: String

    /// As runc has it: the names of the standard streams of the container, by their numbers.
    private static let streamsName = "descriptors.json"
    private static let inventoryName = "inventory.img"

    /// - Parameter making: the directory of the images may be missing. That of the log always may.
    init(_ options: CRIUOptions, log: String, making: Bool) throws(RuntimeError) {
        images = HeldDescriptor(try Self.open(options.imagePath, "image", making: making))
        if let path = options.workPath {
            work = HeldDescriptor(try Self.open(path, "work", making: true))
        } else {
            work = nil
        }
        logPath = "\(options.workPath ?? options.imagePath)/\(log)"
    }

    private static func open(_ path: String, _ kind: String, making: Bool) throws(RuntimeError) -> Descriptor
    {
        try during("open the \(kind) directory") { () throws(SystemError) in
            // Memory is no one else's to read.
            if making { try File.makeDirectories(path, mode: 0o700) }
            return try File.open(path, O_RDONLY | O_DIRECTORY)
        }
    }

    /// What a dump and a restore are told alike.
    func options(_ options: CRIUOptions, annotations: [String: String], log: String) -> CRIURequestOptions {
        var request = CRIURequestOptions(imagesDirectory: raw)
        request.workDirectory = work?.descriptor.raw
        request.logLevel = 4
        request.logFile = log
        request.notifies = true
        request.passesOrphanTerminals = true
        request.tcpEstablished = options.tcpEstablished
        request.externalUnixSockets = options.externalUnixSockets
        request.shellJob = options.shellJob
        request.fileLocks = options.fileLocks
        request.linkRemap = options.linkRemap
        request.autoDedup = options.autoDedup
        request.lazyPages = options.lazyPages
        request.cgroupMode = options.cgroupMode
        // Interfaces are made by who made the network namespace, not by us.
        request.emptyNamespaces = UInt32(CLONE_NEWNET)
        // It overrides what is asked for here. The name is runc's, so that one file serves both.
        let configFile = annotations["org.criu.config"] ?? "/etc/criu/runc.conf"
        request.configFile = configFile.isEmpty ? nil : configFile
        return request
    }

    // MARK: - The standard streams

    func write(streams: [String]) throws(RuntimeError) {
        let directory = raw
        try during("write \(Self.streamsName)") { () throws(SystemError) in
            try File.replace(
                Self.streamsName, at: directory, with: JSON.array(streams.map { .string($0) }).bytes(),
                mode: 0o600, durable: false)
        }
    }

    /// - Throws: `.invalidConfig` when there is no checkpoint in the directory.
    func readStreams(_ path: String) throws(RuntimeError) -> [String] {
        guard File.exists(Self.inventoryName, at: raw) else {
            throw RuntimeError(.invalidConfig, "there is no checkpoint in \(path)")
        }
        let text: [UInt8]
        do throws(SystemError) {
            text = try File.read(Self.streamsName, at: raw, limit: 1 << 20)
        } catch {
            throw RuntimeError(.invalidConfig, "read \(Self.streamsName) in \(path)", cause: error)
        }
        do throws(JSONError) {
            // null is an empty list of Go's.
            return try JSON(parsing: text).array?.prefix(3).map { $0.string ?? "" } ?? []
        } catch {
            throw RuntimeError(.invalidConfig, "\(Self.streamsName) in \(path): \(error)")
        }
    }

    // MARK: - The log

    /// A failure with the errors that CRIU has logged, and where the log is.
    func explained(_ error: RuntimeError, log: String) -> RuntimeError {
        guard error.code == .system,
            let text = try? File.read(log, at: work?.descriptor.raw ?? raw, limit: 256 << 20)
        else { return error }
        var message = error.message
        for line in Self.errors(in: text) where !message.contains(line) { message += "; \(line)" }
        return RuntimeError(error.code, "\(message) (log file: \(logPath))", cause: error.cause)
    }

    /// The last lines that tell of an error: `(00.005093) Error (criu/mount.c:1): what`.
    static func errors(in log: [UInt8]) -> [String] {
        let mark = "Error (".utf8
        var found: [String] = []
        for line in log.split(separator: UInt8(ascii: "\n")).reversed() where line.count < 1000 {
            // After the time.
            guard let start = line.indices.first(where: { line[$0...].starts(with: mark) }) else { continue }
            found.append(String(decoding: line[start...], as: UTF8.self))
            if found.count == 3 { break }
        }
        return found.reversed()
    }
}
