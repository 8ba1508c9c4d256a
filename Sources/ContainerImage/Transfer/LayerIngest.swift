internal import ContainerStorage
internal import LayerArchive
internal import LinuxSystem
internal import RegistryClient

/// A layer to bring into the store.
struct LayerPlan: Sendable {
    /// As progress names it.
    var label: Digest
    var diffID: Digest
    /// Of the bytes that `open` gives; nil when nobody said.
    var blob: Digest?
    var size: Int64?
    /// The way in parts, where there is one.
    var delta: LayerDelta?
    var open: @Sendable () throws -> any ByteSource
}

extension ImageTransfer {
    /// Brings layers into the store, several at once. The caller holds a lease.
    /// - Returns: what is now there, in the plans' order.
    func ingest(_ plans: [LayerPlan], name: String, stop: StopFlag) throws(ImageError) -> [LayerInfo] {
        for plan in plans { progress.layer(plan.label, .waiting(size: plan.size ?? -1)) }
        do {
            // The largest first: one that came last would have a thread to itself.
            let order = plans.indices.sorted { plans[$0].size ?? 0 > plans[$1].size ?? 0 }
            let infos = try Threads.parallel(limit: max(1, options.threads), order, stop: stop) { index in
                let plan = plans[index]
                do {
                    let info: LayerInfo
                    do {
                        info = try add(plan, stop) { try plan.delta?.source() ?? plan.open() }
                    } catch  where plan.delta?.giveUp(after: error) == true {
                        info = try add(plan, stop, plan.open)
                    }
                    if let fetched = plan.delta?.fetched, let size = plan.size {
                        progress.layer(plan.label, .assembled(fetched: fetched, size: size))
                    } else {
                        progress.layer(plan.label, info.reused ? .reused : .done)
                    }
                    return info
                } catch {
                    progress.layer(plan.label, .failed)
                    throw error
                }
            }
            var result = infos
            for (position, index) in order.enumerated() { result[index] = infos[position] }
            return result
        } catch {
            let cause = (error as? StorageError)?.cause as? RegistryError
            if cause?.isTransient != true {
                // There is something wrong with the image: its other layers are of no use either.
                for plan in plans { if let blob = plan.blob { try? store.discardPartial(blob) } }
            }
            throw ImageError("pull \(name)", any: error)
        }
    }

    private func add(
        _ plan: LayerPlan, _ stop: StopFlag, _ open: () throws -> any ByteSource
    ) throws(StorageError) -> LayerInfo {
        try store.ingestLayer(
            blob: plan.blob, size: plan.size, diffID: plan.diffID,
            from: try ProgressSource(open(), plan.label, plan.size ?? -1, progress, stop))
    }
}

/// Passes bytes on, says how far they are, and ends when another layer failed.
final class ProgressSource: ResumableSource {
    private let source: any ByteSource
    private let label: Digest
    private let size: Int64
    private let progress: any TransferProgress
    private let stop: StopFlag
    private var done: Int64 = 0
    private var reported: Int64 = 0
    /// Reports closer together than this are for nobody's eyes.
    private static let step: Int64 = 128 << 10

    /// - Parameter size: -1 when unknown.
    init(
        _ source: any ByteSource, _ label: Digest, _ size: Int64, _ progress: any TransferProgress,
        _ stop: StopFlag
    ) {
        self.source = source
        self.label = label
        self.size = size
        self.progress = progress
        self.stop = stop
    }

    func resume(at position: Int64) -> Bool {
        guard let source = source as? any ResumableSource, source.resume(at: position) else { return false }
        done = position
        return true
    }

    var wasInterrupted: Bool {
        stop.isRaised || (source as? any ResumableSource)?.wasInterrupted == true
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        if stop.isRaised { throw ImageError(.cancelled, "", "cancelled") }
        let count = try source.read(into: buffer)
        done += Int64(count)
        if done - reported >= Self.step || (count == 0 && done > reported) {
            reported = done
            progress.layer(label, .downloading(done: done, size: size))
        }
        return count
    }
}
