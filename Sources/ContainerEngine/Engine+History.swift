public import ContainerStorage
public import OCISpec

/// One step of an image's making.
public struct ImageStep: Sendable {
    public var entry: HistoryEntry
    /// Of the layer that it made, in bytes of files; 0 for none.
    public var size: Int64
}

extension Engine {
    /// The steps that made an image, the last first. Layers that its history
    /// does not tell of come as steps of their own.
    public func history(of image: ImageRecord) throws(EngineError) -> [ImageStep] {
        let config = try imageConfig(image.id)
        return try engineErrors("image \(image.id)") {
            var layers = image.diffIDs[...]
            func nextSize() throws -> Int64? { try layers.popFirst().flatMap { try store.layerSize($0) } }
            var steps = try config.history.map { entry in
                ImageStep(entry: entry, size: entry.emptyLayer ? 0 : try nextSize() ?? 0)
            }
            while let size = try nextSize() { steps.append(ImageStep(entry: HistoryEntry(), size: size)) }
            return steps.reversed()
        }
    }
}
