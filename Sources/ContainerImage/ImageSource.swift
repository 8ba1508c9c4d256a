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
        case "containers-storage", "docker-daemon", "sif", "ostree", "tarball", "http", "https":
            throw ImageError(
                .unsupported, "invalid image source \"\(text)\"",
                "the transport \(transport!) is not supported")
        default:
            self = .registry(text)
        }
        if case .registry(let name) = self { _ = try ImageName(parsing: name) }
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
        }
    }
}
