public import LayerArchive

/// What a transfer tells of its way. Calls come from several threads at once.
///
/// One pull, seen from here:
///
///     resolving("docker.io/library/debian:12")
///     layer(a, .waiting(size: 50_000_000)) …          all layers, lowest first
///     layer(a, .downloading(done: 1_048_576, size: 50_000_000)) …
///     layer(a, .done) …                               or .reused
public protocol TransferProgress: Sendable {
    /// A source is tried.
    func resolving(_ reference: String)
    func layer(_ digest: Digest, _ state: LayerProgress)
    /// A step that is no layer.
    func note(_ text: String)
    /// Something that the user should know and that stops nothing.
    func warning(_ text: String)
}

public enum LayerProgress: Sendable, Equatable {
    /// Sizes are in bytes as transferred; -1 when unknown.
    case waiting(size: Int64)
    /// Or on its way out.
    case downloading(done: Int64, size: Int64)
    /// Verified and unpacked, or sent.
    case done
    /// Done, of parts: so many of the blob's bytes were fetched, the rest was here.
    case assembled(fetched: Int64, size: Int64)
    /// It was here before.
    case reused
    case failed
}

/// Tells nobody.
public struct SilentProgress: TransferProgress {
    public init() {}
    public func resolving(_ reference: String) {}
    public func layer(_ digest: Digest, _ state: LayerProgress) {}
    public func note(_ text: String) {}
    public func warning(_ text: String) {}
}
