import ContainerStorage
import LayerArchive
public import LinuxSystem
import OCISpec

/// What a prune spares.
public struct PruneFilter: Sendable {
    /// Things made at this time or later.
    public var until: Timestamp?
    /// `KEY` or `KEY=VALUE`; a thing needs all of these.
    public var labels: [String] = []
    /// … and none of these.
    public var withoutLabels: [String] = []

    public init() {}

    var isEmpty: Bool { until == nil && labels.isEmpty && withoutLabels.isEmpty }

    func matches(created: Timestamp?, labels found: [String: String]) -> Bool {
        if let until { guard let created, created < until else { return false } }
        func has(_ label: String) -> Bool {
            let pair = label.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(
                String.init)
            return found[pair[0]].map { pair.count == 1 || $0 == pair[1] } ?? false
        }
        return labels.allSatisfy(has) && !withoutLabels.contains(where: has)
    }
}

public struct Pruned: Sendable {
    /// IDs.
    public var containers: [String] = []
    /// As `removeImage` tells it.
    public var images: [String] = []
    public var volumes: [String] = []
    /// In bytes.
    public var reclaimed: Int64 = 0
}

extension Engine {
    /// Removes what nothing uses: stopped containers, images without a name,
    /// downloads that were cut short and, when asked for, volumes.
    /// - Parameter allImages: those with names too, if no container uses them.
    public func prune(allImages: Bool, volumes: Bool, filter: PruneFilter) throws(EngineError) -> Pruned {
        let before = try totalSize()
        var pruned = Pruned()
        for summary in try list(all: true) {
            guard summary.state.status == .exited || summary.state.status == .created,
                filter.matches(created: summary.record.created, labels: summary.labels)
            else { continue }
            do throws(EngineError) {
                try remove(summary.record, force: false, volumes: false)
                pruned.containers.append(summary.record.id)
            } catch  where error.code == .conflict {
                // Somebody started it.
            }
        }
        for image in try engineErrors(nil, { try store.images() }) where allImages || image.names.isEmpty {
            let created = image.created.flatMap(Timestamp.init(parsing:))
            do throws(EngineError) {
                let labels = try imageConfig(image.id).config.labels
                guard filter.matches(created: created, labels: labels) else { continue }
                // One that was named meanwhile is in use.
                pruned.images += try removeImage(image, as: image.id.description) ?? []
            } catch  where error.code == .conflict || error.code == .notFound {}
        }
        if volumes {
            for volume in try engineErrors(nil, { try store.volumes() })
            where filter.matches(created: .init(seconds: 0), labels: volume.labels) {
                do throws(StorageError) {
                    try store.removeVolume(volume.name, unlessUsed: Self.user(ofVolume: volume.name))
                    pruned.volumes.append(volume.name)
                } catch  where error.code == .inUse || error.code == .notFound {
                } catch {
                    throw EngineError(error)
                }
            }
        }
        // Nothing is known of what they are part of.
        if filter.isEmpty { try engineErrors(nil, { try store.discardPartials() }) }
        pruned.reclaimed = max(0, before - (try totalSize()))
        return pruned
    }

    private func totalSize() throws(EngineError) -> Int64 {
        let usage = try engineErrors { try store.usage() }
        return usage.imagesSize + usage.artifactsSize + usage.snapshots.values.reduce(0, +)
            + usage.volumes.reduce(0) { $0 + $1.size }
    }

    /// How many containers use each volume.
    public func volumeUsers() throws(EngineError) -> [String: Int] {
        let rows = try engineErrors {
            try store.database.read { connection throws(StorageError) in
                try connection.rows("SELECT volume, count(*) FROM container_volumes GROUP BY volume") {
                    ($0.text(0), $0.int(1))
                }
            }
        }
        return Dictionary(rows, uniquingKeysWith: { first, _ in first })
    }
}
