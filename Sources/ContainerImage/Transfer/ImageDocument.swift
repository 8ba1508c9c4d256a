internal import JSONText
internal import LayerArchive
internal import OCISpec

/// A manifest or an index, told apart and read.
enum ImageDocument {
    case manifest(ImageManifest, mediaType: String)
    case index(ImageIndex, mediaType: String)

    /// - Parameter mediaType: what the place or the descriptor says it is; may be empty.
    init(_ bytes: [UInt8], mediaType announced: String, name: String) throws(ImageError) {
        let operation = "read the manifest of \(name)"
        guard bytes.count <= DocumentLimit.manifest else {
            throw ImageError(
                .limit, operation,
                "it has \(bytes.count) bytes; more than \(DocumentLimit.manifest) are not accepted")
        }
        do throws(JSONError) {
            // What two readers could read as two images is none (CVE-2021-41190).
            let json = try JSON(parsing: bytes, refusingDuplicates: true)
            guard json.object != nil else { throw JSONError("expected an object, found \(json.kind)") }
            let own = json["mediaType"]?.string ?? ""
            let type = own.isEmpty ? announced : own
            if MediaType.isSchema1(type) || json["schemaVersion"]?.int == 1 {
                throw JSONError(
                    "it has Docker's old schema 1, which is not supported: have the image pushed anew")
            }
            guard
                json["manifests"] == nil || ["layers", "config", "fsLayers"].allSatisfy({ json[$0] == nil })
            else {
                throw JSONError("it is a manifest and an index at once")
            }
            if MediaType.isIndex(type) || (!MediaType.isManifest(type) && json["manifests"] != nil) {
                guard json["manifests"] != nil else {
                    throw JSONError("it is called an index and has no manifests")
                }
                self = .index(try ImageIndex(json: json), mediaType: type.isEmpty ? MediaType.ociIndex : type)
            } else if MediaType.isManifest(type) || json["config"] != nil {
                guard json["manifests"] == nil else {
                    throw JSONError("it is called a manifest and is an index")
                }
                self = .manifest(
                    try ImageManifest(json: json),
                    mediaType: MediaType.isManifest(type) ? type : MediaType.ociManifest)
            } else {
                throw JSONError("it is no image manifest and no index")
            }
        } catch {
            throw ImageError(.malformed, operation, error.description)
        }
    }
}
