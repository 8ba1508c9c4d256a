import JSONText
import LayerArchive
import LinuxSystem

/// `layer.json` of an unpacked layer: it is there when the layer is whole.
struct LayerRecord: JSONDocument {
    /// Of the layer's files, in bytes.
    var size: Int64
    /// The blob that it was unpacked from.
    var blob: Digest

    init(size: Int64, blob: Digest) {
        self.size = size
        self.blob = blob
    }

    init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        size = try reader.required("size")
        let text: String = try reader.required("blob")
        do throws(ArchiveError) {
            blob = try Digest(parsing: text)
        } catch {
            throw JSONError(path: "blob", "\(error)")
        }
    }

    var json: JSON { ["size": .integer(size), "blob": .string("\(blob)")] }

    /// - Parameter layer: the unpacked layer's path in the store.
    static func read(_ layer: String, at directory: Int32) throws(StorageError) -> LayerRecord {
        let bytes = try storing("read layer", layer) { () throws(SystemError) in
            try File.read(layer + "/layer.json", at: directory, limit: 1 << 16)
        }
        do throws(JSONError) {
            return try LayerRecord(json: JSON(parsing: bytes))
        } catch {
            throw StorageError(.damaged, "read layer", layer, "\(error)")
        }
    }
}
