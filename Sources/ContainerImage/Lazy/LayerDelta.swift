internal import ContainerStorage
internal import LayerArchive
internal import OCISpec
internal import RegistryClient
internal import Synchronization

/// Where parts of a blob can be had.
protocol RangedProvider: ImageProvider {
    var meter: TransferMeter { get }
    /// - Parameter range: not empty, and within the blob.
    func blob(
        _ descriptor: ContentDescriptor, _ digest: Digest, range: Range<Int64>
    ) throws -> any ByteSource
}

/// What the layers of one pull have in common that come in parts.
final class DeltaPull: Sendable {
    let provider: any RangedProvider
    let local: LocalFrames
    private let assumedRate: TransferRate?
    private let isOff = Mutex(false)

    init(_ provider: any RangedProvider, _ local: LocalFrames, assuming rate: TransferRate? = nil) {
        self.provider = provider
        self.local = local
        assumedRate = rate
    }

    var rate: TransferRate? { assumedRate ?? provider.meter.rate }

    /// nil for a layer that can only come whole.
    func layer(_ descriptor: ContentDescriptor, _ digest: Digest) -> LayerDelta? {
        guard let layer = ChunkedLayer(annotations: descriptor.annotations, size: descriptor.size) else {
            return nil
        }
        return LayerDelta(self, layer, descriptor, digest)
    }

    /// A layer was made in a way that its table does not tell: others will have been, too.
    func turnOff() { isOff.withLock { $0 = true } }

    var isWorking: Bool { isOff.withLock { !$0 } }
}

/// A layer of which only those parts are fetched that no layer here has: when that is clearly
/// sooner done than fetching it whole.
///
/// What comes out is the blob, byte for byte, and goes the way of all blobs: its digest is
/// verified, it is kept, inflated, and the diffID verified. So nothing depends on what a table says
/// but the time it takes.
final class LayerDelta: Sendable {
    private let pull: DeltaPull
    private let layer: ChunkedLayer
    private let descriptor: ContentDescriptor
    private let digest: Digest
    /// Of the blob, when it came in parts.
    private let fetchedBytes = Mutex<Int64?>(nil)

    var fetched: Int64? { fetchedBytes.withLock { $0 } }

    init(_ pull: DeltaPull, _ layer: ChunkedLayer, _ descriptor: ContentDescriptor, _ digest: Digest) {
        self.pull = pull
        self.layer = layer
        self.descriptor = descriptor
        self.digest = digest
    }

    /// - Returns: nil when the layer is to be fetched whole.
    /// - Throws: when the registry is gone, or the pull ended.
    func source() throws -> (any ByteSource)? {
        guard pull.isWorking, layer.size >= TransferRate.smallest,
            pull.rate?.mayGain(size: layer.size) != false, !pull.local.isEmpty
        else { return nil }
        let (provider, descriptor, digest) = (pull.provider, descriptor, digest)
        let fetch: @Sendable (Range<Int64>) throws -> any ByteSource = {
            try provider.blob(descriptor, digest, range: $0)
        }
        var fetched: Int64 = 0
        let table: ChunkedTable
        do {
            table = try layer.table { offset, count in
                let bytes = try fetch(offset..<offset + Int64(count)).readAll(limit: count)
                fetched += Int64(count)
                return bytes
            }
        } catch  where Self.isOfParts(error) {
            // The table is at fault, or the server gives no parts. The whole may be in order.
            pull.turnOff()
            return nil
        }
        guard let rate = pull.rate else { return nil }
        let (plan, files) = pull.local.plan(table.frames, bridge: rate.bridge)
        guard rate.isCheaper(fetches: plan.fetches, bytes: plan.fetchedBytes, than: layer.size) else {
            return nil
        }
        fetchedBytes.withLock { $0 = fetched + plan.fetchedBytes }
        return PartsSource(plan, files: files, tail: table.tail, fetch: fetch)
    }

    /// Whether a layer that came in parts may come whole all the same.
    func giveUp(after error: any Error) -> Bool {
        guard fetched != nil, Self.isOfParts(error) else { return false }
        fetchedBytes.withLock { $0 = nil }
        pull.turnOff()
        return true
    }

    /// The bytes were wrong, or not to be had in parts; a lost connection or a full disk would not
    /// be better with the whole.
    private static func isOfParts(_ error: any Error) -> Bool {
        switch error {
        case let error as ArchiveError: error.code != .fileSystem
        case let error as RegistryError: [.noRanges, .refused, .malformed, .tooLarge].contains(error.code)
        case let error as StorageError:
            error.code == .source
                ? error.cause.map(isOfParts) ?? false
                : [.mismatch, .invalid, .unsupported].contains(error.code)
        default: false
        }
    }
}
