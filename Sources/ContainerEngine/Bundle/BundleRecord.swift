import JSONText
import LinuxSystem
import OCISpec

/// `apus.json` of a bundle: the image that its root file system was, with
/// which `repack` compares it.
struct BundleRecord: JSONDocument, Equatable {
    /// The image's ID.
    var image: String
    /// Whose the image's files are.
    var owners = BundleOwners()

    private static let name = "apus.json"

    init(image: String, owners: BundleOwners) {
        self.image = image
        self.owners = owners
    }

    init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        let version: Int64 = try reader.required("version")
        image = try reader.required("image")
        switch version {
        case 1: break
        case 2: owners = try reader.required("owners")
        default: throw JSONError(path: "version", "is \(version), and neither 1 nor 2")
        }
    }

    /// Who does not know of owners must not take the bundle for one without.
    var json: JSON {
        guard owners != BundleOwners() else { return ["version": 1, "image": .string(image)] }
        return ["version": 2, "image": .string(image), "owners": owners.json]
    }

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
