import OCISpec

/// A set of user or group IDs, as ranges in order that do not touch.
struct IDRanges: Equatable {
    private(set) var ranges: [Range<UInt64>] = []

    init(_ ranges: [Range<UInt64>]) {
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) where !range.isEmpty {
            if let last = self.ranges.last, range.lowerBound <= last.upperBound {
                self.ranges[self.ranges.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                self.ranges.append(range)
            }
        }
    }

    var count: UInt64 { ranges.reduce(0) { $0 + UInt64($1.count) } }

    func subtracting(_ other: IDRanges) -> IDRanges {
        var left: [Range<UInt64>] = []
        for range in ranges {
            var start = range.lowerBound
            for hole in other.ranges where hole.overlaps(range) {
                if start < hole.lowerBound { left.append(start..<hole.lowerBound) }
                start = hole.upperBound
            }
            if start < range.upperBound { left.append(start..<range.upperBound) }
        }
        return IDRanges(left)
    }

    /// So many of them: the first ones that stand together, or, where none
    /// are so many, the first ones; nil when there are less.
    func first(_ wanted: UInt64) -> IDRanges? {
        if let range = ranges.first(where: { UInt64($0.count) >= wanted }) {
            return IDRanges([range.lowerBound..<range.lowerBound + wanted])
        }
        var taken: [Range<UInt64>] = []
        var missing = wanted
        for range in ranges where missing > 0 {
            let count = min(missing, UInt64(range.count))
            taken.append(range.lowerBound..<range.lowerBound + count)
            missing -= count
        }
        return missing == 0 ? IDRanges(taken) : nil
    }

    /// The IDs of a container, one after the other, each with one of these.
    func mappings(of container: IDRanges) -> [IDMapping] {
        var mappings: [IDMapping] = []
        var host = ranges[...]
        for range in container.ranges {
            var range = range
            while !range.isEmpty, let first = host.first {
                let count = min(UInt64(range.count), UInt64(first.count))
                mappings.append(
                    IDMapping(
                        containerID: UInt32(range.lowerBound), hostID: UInt32(first.lowerBound),
                        size: UInt32(count)))
                range = range.lowerBound + count..<range.upperBound
                host[host.startIndex] = first.lowerBound + count..<first.upperBound
                if host[host.startIndex].isEmpty { host.removeFirst() }
            }
        }
        return mappings
    }
}

extension [IDMapping] {
    var hostIDs: IDRanges { IDRanges(map { UInt64($0.hostID)..<UInt64($0.hostID) + UInt64($0.size) }) }
    var containerIDs: IDRanges {
        IDRanges(map { UInt64($0.containerID)..<UInt64($0.containerID) + UInt64($0.size) })
    }
}
