import JSONText
import LinuxSystem

/// `apus.json` of a bundle: the image that its root file system was, with
/// which `repack` compares it.
struct BundleRecord: JSONDocument, Equatable {
    /// The image's ID.
    var image: String

    private static let name = "apus.json"
    private static let version: Int64 = 1

    init(image: String) { self.image = image }

    init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        let version: Int64 = try reader.required("version")
        guard version == Self.version else {
            throw JSONError(path: "version", "is \(version), and not \(Self.version)")
        }
        image = try reader.required("image")
    }

    var json: JSON { ["version": .integer(Self.version), "image": .string(image)] }

    static func read(_ bundle: String) throws(EngineError) -> BundleRecord {
        do {
            return try BundleRecord(
                json: JSON(parsing: File.read("\(bundle)/\(name)", limit: 1 << 16)))
        } catch let error as SystemError where error.errno == .noEntry || error.errno == .notDirectory {
            throw EngineError(
                .invalid, "\(bundle) has no \(name): it is no bundle that `apus image unpack` made")
        } catch {
            throw EngineError(.invalid, "\(bundle)/\(name): \(error)")
        }
    }

    func write(to bundle: String) throws(SystemError) {
        try File.replace("\(bundle)/\(Self.name)", with: json.bytes())
    }

    func write(in directory: Int32) throws(SystemError) {
        try File.replace(Self.name, at: directory, with: json.bytes(), durable: false)
    }
}
