/// Where an image comes from or goes to, in the words of containers-transports(5).
public enum ImageSource: Sendable, Equatable, CustomStringConvertible {
    /// A registry's image by its name, which may be short: `docker://debian:12`.
    case registry(String)
    /// `oci:DIRECTORY[:REFERENCE]`
    case layout(path: String, reference: String?)
    /// `oci-archive:FILE[:REFERENCE]`
    case layoutArchive(path: String, reference: String?)
    /// `docker-archive:FILE[:NAME]`
    case dockerArchive(path: String, reference: String?)
    /// `dir:DIRECTORY`: a manifest and its blobs side by side.
    case directory(path: String)
    /// `apus:[[ROOT]]NAME`: in a store of ours, where the name or the ID of an image stands.
    case store(root: String?, name: String)
    /// `docker-daemon:NAME` or `docker-daemon:sha256:ID`
    case daemon(String)

    /// Reads what is given to `copy`, where a name without a transport means nothing.
    public init(parsingTransport text: String) throws(ImageError) {
        try self.init(parsing: text)
        if case .registry = self, !text.hasPrefix("docker://") {
            throw ImageError(
                .invalidReference, "invalid image name \"\(text.prefix(300))\"",
                "expected colon-separated transport:reference, as in docker://\(text.prefix(300))")
        }
    }

    /// Reads what is given to `pull` or `push`: a transport and its argument, or a name.
    public init(parsing text: String) throws(ImageError) {
        let colon = text.firstIndex(of: ":")
        let transport = colon.map { String(text[..<$0]) }
        let argument = colon.map { String(text[text.index(after: $0)...]) } ?? ""
        func path() throws(ImageError) -> (String, String?) {
            // The path's end is the first colon after it, as in containers/image.
            let end = argument.firstIndex(of: ":") ?? argument.endIndex
            let path = String(argument[..<end])
            guard !path.isEmpty else {
                throw ImageError(.invalidReference, "invalid image source \"\(text)\"", "it has no path")
            }
            let reference = end == argument.endIndex ? "" : String(argument[argument.index(after: end)...])
            return (path, reference.isEmpty ? nil : reference)
        }
        switch transport {
        case "docker" where argument.hasPrefix("//"):
            self = .registry(String(argument.dropFirst(2)))
        case "oci":
            let (path, reference) = try path()
            self = .layout(path: path, reference: reference)
        case "oci-archive":
            let (path, reference) = try path()
            self = .layoutArchive(path: path, reference: reference)
        case "docker-archive":
            let (path, reference) = try path()
            self = .dockerArchive(path: path, reference: reference)
        case "dir":
            guard !argument.isEmpty else {
                throw ImageError(.invalidReference, "invalid image source \"\(text)\"", "it has no path")
            }
            self = .directory(path: argument)
        case "apus":
            self = try Self.store(argument, text)
        case "docker-daemon":
            guard !argument.isEmpty else {
                throw ImageError(.invalidReference, "invalid image source \"\(text)\"", "it has no name")
            }
            if !argument.hasPrefix("sha256:") { _ = try ImageName(parsing: argument) }
            self = .daemon(argument)
        case "containers-storage", "sif", "ostree", "tarball", "http", "https":
            throw ImageError(
                .unsupported, "invalid image source \"\(text)\"",
                "the transport \(transport!) is not supported")
        default:
            self = .registry(text)
        }
        if case .registry(let name) = self { _ = try ImageName(parsing: name) }
    }

    private static func store(_ argument: String, _ text: String) throws(ImageError) -> ImageSource {
        var root: String?
        var name = argument
        if argument.hasPrefix("[") {
            guard let end = argument.firstIndex(of: "]"), argument[..<end].hasPrefix("[/") else {
                throw ImageError(
                    .invalidReference, "invalid image source \"\(text)\"",
                    "expected apus:[ROOT]NAME with an absolute ROOT")
            }
            root = String(argument[argument.index(after: argument.startIndex)..<end])
            name = String(argument[argument.index(after: end)...])
        }
        guard !name.isEmpty else {
            throw ImageError(.invalidReference, "invalid image source \"\(text)\"", "it has no name")
        }
        return .store(root: root, name: name)
    }

    public var description: String {
        func with(_ transport: String, _ path: String, _ reference: String?) -> String {
            "\(transport):\(path)" + (reference.map { ":\($0)" } ?? "")
        }
        return switch self {
        case .registry(let name): name
        case .layout(let path, let reference): with("oci", path, reference)
        case .layoutArchive(let path, let reference): with("oci-archive", path, reference)
        case .dockerArchive(let path, let reference): with("docker-archive", path, reference)
        case .directory(let path): "dir:\(path)"
        case .store(let root, let name): "apus:" + (root.map { "[\($0)]" } ?? "") + name
        case .daemon(let name): "docker-daemon:\(name)"
        }
    }
}
