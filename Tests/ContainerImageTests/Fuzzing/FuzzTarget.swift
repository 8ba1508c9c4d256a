import JSONText
import LayerArchive
import OCISpec

@testable import ContainerImage
@testable import ImageTrust
@testable import RegistryClient

/// What reads the names that people and files give, and what registries answer. Any input may be
/// refused by an error; a crash, or a promise that is not kept (`precondition`), is a finding.
///
/// `scripts/fuzz` links this file with libFuzzer; the tests run it on the kept corpus.
enum FuzzTarget: String, CaseIterable {
    case manifest, reference, challenge

    func run(_ bytes: [UInt8]) {
        switch self {
        case .manifest: Self.manifest(bytes)
        case .reference: Self.reference(String(decoding: bytes, as: UTF8.self))
        case .challenge: Self.challenge(String(decoding: bytes, as: UTF8.self))
        }
    }

    /// Manifests, indexes and configs: what is read and written is read as the same again.
    private static func manifest(_ bytes: [UInt8]) {
        let document: ImageDocument
        do throws(ImageError) {
            document = try ImageDocument(bytes, mediaType: "", name: "fuzz")
        } catch {
            _ = try? ResolvedImage.readConfig(bytes, name: "fuzz")
            return
        }
        switch document {
        case .manifest(var manifest, _):
            again(manifest)
            for format in ManifestFormat.allCases {
                guard (try? ManifestConversion.convert(&manifest, from: .oci, to: format)) != nil else {
                    break
                }
                again(manifest)
            }
            for descriptor in [manifest.config] + manifest.layers { check(descriptor) }
        case .index(let index, _):
            again(index)
            index.manifests.forEach(check)
            for architecture in ["amd64", "arm"] {
                let wanted = Platform(os: "linux", architecture: architecture).normalized
                guard let chosen = try? PlatformChoice.choose(wanted, from: index, name: "fuzz") else {
                    continue
                }
                precondition(index.manifests.contains(chosen))
            }
        }
    }

    private static func again<Document: JSONDocument & Equatable>(_ document: Document) {
        guard let json = try? JSON(parsing: document.json.bytes()), let read = try? Document(json: json),
            read == document
        else { preconditionFailure("what was written is read as something else") }
    }

    private static func check(_ descriptor: ContentDescriptor) {
        guard let digest = try? Digest(descriptor, in: "fuzz") else { return }
        precondition("\(digest)" == descriptor.digest)
        precondition(digest.hex.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) })
    }

    /// Names of images: whatever reads one reads the same, and nothing in it leads out of a path.
    private static func reference(_ text: String) {
        _ = try? ImageSource(parsing: text)
        guard let reference = try? ImageReference(parsing: text) else { return }
        let whole = reference.canonical
        precondition(whole.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
        precondition(
            !reference.path.split(separator: "/", omittingEmptySubsequences: false)
                .contains { $0.isEmpty || $0 == "." || $0 == ".." })
        precondition((try? ImageReference(parsing: whole)) == reference)
        precondition((try? ImageReference(parsing: reference.familiar)) == reference)
        guard let signed = DockerReference(parsing: whole) else {
            preconditionFailure("signatures know no name \(whole)")
        }
        precondition(signed.description == whole)
    }

    /// What the headers of an answer say (`WWW-Authenticate`, `Link`, `Location`).
    private static func challenge(_ text: String) {
        for challenge in Challenge.parse(text) {
            precondition(!challenge.scheme.isEmpty && challenge.scheme == challenge.scheme.lowercased())
            for name in challenge.parameters.keys { precondition(!name.isEmpty && name == name.lowercased()) }
        }
        if let next = RegistryClient.next(text) { precondition(!next.contains(">")) }
        if let url = HTTPURL(text) {
            precondition(["http", "https"].contains(url.scheme) && !url.authority.contains("@"))
            precondition(HTTPURL(url.origin)?.origin == url.origin)
        }
        let shown = text.printable(limit: 100)
        precondition(shown.unicodeScalars.count <= 101)
        precondition(
            shown.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F..<0xA0).contains($0.value) })
    }
}
