public import JSONText

/// Where a container's output is kept, and how much of it.
public struct LogConfiguration: JSONDocument, Equatable {
    public enum Driver: String, Sendable, CaseIterable {
        /// Docker's: one JSON object a line.
        case jsonFile = "json-file"
        /// The kubelet's (CRI): time, stream, `F` or `P`, text.
        case kubernetesFile = "k8s-file"
        case none
    }

    public var driver: Driver
    public var path: String
    /// A file that has grown to so many bytes is rotated; nil never is.
    public var maximumSize: Int64?
    /// How many files there may be: the one written to, `.1`, `.2` and so on.
    public var maximumFiles: Int

    public init(_ driver: Driver, path: String, maximumSize: Int64? = nil, maximumFiles: Int = 1) {
        self.driver = driver
        self.path = path
        self.maximumSize = maximumSize
        self.maximumFiles = maximumFiles
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        let name: String = try reader.required("driver")
        guard let driver = Driver(rawValue: name) else {
            throw JSONError(path: "driver", "unknown log driver \"\(name)\"")
        }
        self.driver = driver
        path = try reader.optional("path") ?? ""
        maximumSize = try reader.optional("maxSize")
        maximumFiles = try reader.optional("maxFiles") ?? 1
        guard driver == .none || path.hasPrefix("/") else {
            throw JSONError(path: "path", "is no absolute path")
        }
        guard maximumSize ?? 1 > 0, (1...10_000).contains(maximumFiles) else {
            throw JSONError("maxSize and maxFiles must be positive")
        }
    }

    public var json: JSON {
        var object: JSONObject = ["driver": .string(driver.rawValue), "path": .string(path)]
        object.set("maxSize", maximumSize)
        object.set("maxFiles", maximumFiles)
        return .object(object)
    }

    /// The n-th file: 0 is the one written to, larger ones are older.
    func path(ofFile number: Int) -> String { number == 0 ? path : "\(path).\(number)" }
}

public enum LogStream: UInt8, Sendable {
    case stdout = 1
    case stderr = 2

    public var name: String { self == .stdout ? "stdout" : "stderr" }
}
