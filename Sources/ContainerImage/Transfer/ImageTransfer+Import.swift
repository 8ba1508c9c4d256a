public import ContainerStorage
internal import JSONText
internal import LayerArchive
public import LinuxSystem
internal import OCISpec
internal import RegistryClient

extension ImageTransfer {
    /// Makes an image of a root file system's tar, plain or compressed.
    /// - Parameters:
    ///   - descriptor: open for reading; a stream will do.
    ///   - source: as messages and the image's history name it.
    ///   - name: the image's; nil for none.
    ///   - changes: applied to the image's config, in order.
    ///   - message: the history's comment.
    ///   - created: RFC 3339; nil for now.
    public func importRootfs(
        _ descriptor: consuming Descriptor, source: String, name: String?, changes: [ConfigChange] = [],
        message: String? = nil, created: String? = nil
    ) throws(ImageError) -> ImageRecord {
        try importRootfs(
            DescriptorSource(owning: descriptor), source: source, name: name, changes: changes,
            message: message, created: created)
    }

    /// As above, with a tar that a web server has.
    public func importRootfs(
        url: String, name: String?, changes: [ConfigChange] = [], message: String? = nil,
        created: String? = nil
    ) throws(ImageError) -> ImageRecord {
        let download: HTTPDownload
        do throws(RegistryError) {
            download = try HTTPDownload(url)
        } catch {
            throw ImageError("import \(url)", any: error)
        }
        return try importRootfs(
            download, source: url, name: name, changes: changes, message: message, created: created)
    }

    private func importRootfs(
        _ tar: any ByteSource, source: String, name: String?, changes: [ConfigChange], message: String?,
        created: String?
    ) throws(ImageError) -> ImageRecord {
        var defaults = ContainerDefaults()
        for change in changes { try change.apply(to: &defaults) }
        let names = try [name].compactMap { $0 }.map { name throws(ImageError) in try Self.localName(name) }
        guard names.allSatisfy({ $0.digest == nil }) else {
            throw ImageError(
                .invalidReference, "import \(source)", "an image cannot be given a digest for a name")
        }
        let lease = try storing(source) { () throws(StorageError) in try store.lease() }
        defer { lease.end() }
        let input = DecompressingSource(XZSource(tar), only: .bzip2)
        let layer: LayerInfo
        do throws(StorageError) {
            layer = try store.importLayer(from: input)
        } catch {
            throw ImageError("import \(source)", error)
        }
        let time = created ?? Self.now()
        let config = ImageConfig(
            created: time, platform: (options.platform ?? .host).normalized, config: defaults,
            diffIDs: ["\(layer.diffID)"],
            history: [
                HistoryEntry(
                    created: time, createdBy: "import \(source)",
                    comment: message ?? "imported from \(source)")
            ])
        return try record(config.json.bytes(), layers: [layer], names: names, of: source)
    }

    /// The time in RFC 3339, with nanoseconds, as Go writes it.
    static func now() -> String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        var parts = tm()
        gmtime_r(&time.tv_sec, &parts)
        func padded(_ value: some BinaryInteger, _ width: Int) -> String {
            let digits = "\(value)"
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date =
            "\(padded(parts.tm_year + 1900, 4))-\(padded(parts.tm_mon + 1, 2))-\(padded(parts.tm_mday, 2))"
        let clock = "\(padded(parts.tm_hour, 2)):\(padded(parts.tm_min, 2)):\(padded(parts.tm_sec, 2))"
        return "\(date)T\(clock).\(padded(time.tv_nsec, 9))Z"
    }
}
