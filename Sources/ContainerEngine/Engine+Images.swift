public import ContainerImage
public import ContainerStorage
public import JSONText
import LayerArchive
import OCISpec

extension Engine {
    /// The image that a name or an ID means here; nil when there is none.
    ///
    /// A short name is looked for as podman does: under `localhost/`, then
    /// under each registry that registries.conf searches, then Docker Hub.
    public func findImage(_ text: String) throws(EngineError) -> ImageRecord? {
        try engineErrors("image \(text)") {
            if text.hasPrefix("sha256:") || (text.count >= 3 && text.allSatisfy(\.isHexDigit)) {
                let hex = text.hasPrefix("sha256:") ? String(text.dropFirst(7)) : text
                if let image = try store.image(idPrefix: hex.lowercased()) { return image }
                // No name is as long.
                if text.hasPrefix("sha256:") || text.utf8.count == 64 { return nil }
            }
            let name = try ImageName(parsing: text)
            if let image = try image(name.qualified(by: name.domain ?? "localhost")) { return image }
            if name.domain != nil { return nil }
            // Read only now: what was made here is found without it.
            for reference in try RegistriesConfig.load().localCandidates(for: name) {
                if let image = try image(reference) { return image }
            }
            return nil
        }
    }

    private func image(_ reference: ImageReference) throws(StorageError) -> ImageRecord? {
        if let digest = reference.digest {
            return try store.image(repoDigest: "\(reference.repository)@\(digest)")
        }
        return try store.image(named: reference.tagged.canonical)
    }

    public func requireImage(_ text: String) throws(EngineError) -> ImageRecord {
        guard let image = try findImage(text) else {
            throw EngineError(.notFound, "no such image: \(text): pull it first, or see `apus images`")
        }
        return image
    }

    /// The full name that a name given to an image here stands for.
    public func localName(_ text: String) throws(EngineError) -> String {
        try engineErrors {
            let name = try ImageName(parsing: text)
            guard name.digest == nil else {
                throw EngineError(.invalid, "\(text): an image cannot be given a digest for a name")
            }
            return name.qualified(by: name.domain ?? "localhost").tagged.canonical
        }
    }

    /// Takes a name away, and removes the image with its last.
    /// - Parameters:
    ///   - force: with the containers that use it, and all of its names.
    ///   - allNames: all of its names without more ado.
    /// - Returns: what was done, as docker prints it.
    public func removeImage(_ text: String, force: Bool, allNames: Bool = false) throws(EngineError)
        -> [String]
    {
        while true {
            let image = try requireImage(text)
            // Another process named it, or took a name away: then it is another decision.
            if let lines = try removeImage(image, as: text, force: force, allNames: allNames) { return lines }
        }
    }

    /// - Returns: nil when the image is no longer as it was found.
    private func removeImage(
        _ image: ImageRecord, as text: String, force: Bool, allNames: Bool
    ) throws(EngineError) -> [String]? {
        let name = try nameMeant(by: text, of: image)
        if let name, image.names.count > 1, !allNames {
            do throws(StorageError) {
                try store.untag(name, of: image)
            } catch  where error.code == .changed || error.code == .notFound {
                return nil
            } catch {
                throw EngineError(error)
            }
            return ["Untagged: \(name)"]
        }
        guard name != nil || image.names.count <= 1 || force || allNames else {
            throw EngineError(
                .conflict,
                "image \(text) has several names (\(image.names.joined(separator: ", "))): name one, or use --force"
            )
        }
        if force {
            for record in try records() where record.imageID == image.id.description {
                try remove(record, force: true, volumes: false)
            }
            _ = try engineErrors { try store.unmountImage(image.id, force: true) }
        }
        return try removeImage(image, as: text)
    }

    /// Removes an image if it has the names with which it was found.
    /// - Returns: what was done; nil when it has others now, or is gone.
    func removeImage(_ image: ImageRecord, as text: String) throws(EngineError) -> [String]? {
        do throws(StorageError) {
            try store.removeImage(image.id, ifStill: image)
        } catch  where error.code == .changed || error.code == .notFound {
            return nil
        } catch  where error.code == .inUse {
            let users = try records().filter { $0.imageID == image.id.description }
                .map { "\($0.name) (\($0.shortID))" }
            if users.isEmpty, error.reason.contains("mounted") {
                throw EngineError(.conflict, "image \(text) is mounted: unmount it first, or use --force")
            }
            throw EngineError(
                .conflict,
                "image \(text) is in use by \(users.isEmpty ? error.reason : "container \(users.joined(separator: ", "))"): remove that first, or use --force"
            )
        } catch {
            throw EngineError(error)
        }
        sweep()
        return image.names.map { "Untagged: \($0)" } + ["Deleted: \(image.id)"]
    }

    /// Images to save, each once, under the names that were asked for: an image
    /// named by its ID goes without a name.
    public func imagesToSave(_ texts: [String]) throws(EngineError) -> [SavedImage] {
        var images: [SavedImage] = []
        for text in texts {
            let record = try requireImage(text)
            let names =
                try nameMeant(by: text, of: record).map { name throws(EngineError) in
                    [try engineErrors { try ImageReference(parsing: name) }]
                } ?? []
            if let index = images.firstIndex(where: { $0.record.id == record.id }) {
                images[index].names += names.filter { !images[index].names.contains($0) }
            } else {
                images.append(SavedImage(record, names: names))
            }
        }
        return images
    }

    /// All tags of a repository, and the images that they name.
    public func imagesOfRepository(_ text: String) throws(EngineError) -> [SavedImage] {
        let name = try engineErrors { try ImageName(parsing: text) }
        guard name.tag == nil, name.digest == nil else {
            throw EngineError(.invalid, "tag can't be used with --all-tags/-a")
        }
        let candidates =
            try name.domain == nil
            ? engineErrors { try RegistriesConfig.load().localCandidates(for: name) }
            : [name.qualified(by: name.domain!).tagged]
        let images = try engineErrors { try store.images() }
        for repository in candidates.map(\.repository) {
            var found: [SavedImage] = []
            for image in images {
                for name in image.names.compactMap({ try? ImageReference(parsing: $0) })
                where name.repository == repository && name.tag != nil {
                    found.append(SavedImage(image, names: [name]))
                }
            }
            if !found.isEmpty { return found.sorted { $0.names[0].canonical < $1.names[0].canonical } }
        }
        throw EngineError(.notFound, "no tag of \(text) is here")
    }

    /// Which of an image's names a text means; nil for an ID.
    private func nameMeant(by text: String, of image: ImageRecord) throws(EngineError) -> String? {
        guard let name = try? ImageName(parsing: text) else { return nil }
        let candidates =
            try name.domain == nil
            ? engineErrors { try RegistriesConfig.load().localCandidates(for: name) }
            : [name.qualified(by: name.domain!).tagged]
        return candidates.map(\.canonical).first { image.names.contains($0) }
    }

    /// The image as `docker image inspect` shows it.
    public func inspectImage(_ text: String) throws(EngineError) -> JSON {
        let image = try requireImage(text)
        let config = try imageConfig(image.id)
        var containerConfig = JSONObject()
        for member in config.config.json.object?.members ?? [] { containerConfig[member.name] = member.value }
        return [
            "Id": .string(image.id.description), "RepoTags": image.names.json,
            "RepoDigests": image.repoDigests.json,
            "Digest": .string(image.manifestDigest.description), "Created": .string(image.created ?? ""),
            "Author": .string(config.author ?? ""), "Comment": .string(config.history.last?.comment ?? ""),
            "Config": .object(containerConfig), "Architecture": .string(config.architecture),
            "Variant": .string(config.variant ?? ""), "Os": .string(config.os), "Size": .integer(image.size),
            "VirtualSize": .integer(image.size), "GraphDriver": ["Name": .string(store.driver)],
            "RootFS": ["Type": "layers", "Layers": .array(image.diffIDs.map { .string($0.description) })],
            "History": config.history.json, "ManifestType": .string(image.manifestMediaType),
            "Labels": config.config.labels.json,
        ]
    }
}
