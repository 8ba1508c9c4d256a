/// What is left of what the signatures of one image may amount to: whoever can write beside an image
/// could have us hold any number of them before the first is checked.
public struct SignatureAllowance {
    /// Of all of them, in bytes.
    static let total = 16 << 20

    private let place: String
    private var count = 0
    private var bytes = 0

    /// - Parameter place: where they come from, for errors.
    public init(_ place: String) { self.place = place }

    /// Takes one more.
    /// - Throws: `limit` when it is too large, or one too many, or all together are too much.
    public mutating func take(_ size: Int) throws(TrustError) {
        func require(_ holds: Bool, _ limit: String) throws(TrustError) {
            guard !holds else { return }
            throw TrustError(.limit, "read the signatures in \(place)", "more than \(limit) are not accepted")
        }
        try require(size <= ImageSignature.limit, "\(ImageSignature.limit) bytes of one")
        try require(count < ImageSignature.maximumCount, "\(ImageSignature.maximumCount)")
        count += 1
        bytes += size
        try require(bytes <= Self.total, "\(Self.total) bytes of all")
    }
}
