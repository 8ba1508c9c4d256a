internal import JSONText
internal import LayerArchive
internal import LinuxSystem
internal import OCISpec
internal import YAMLText

/// A YAML file that says what `sync` copies (skopeo-sync(1), "YAML file content").
public struct SyncFile: Sendable {
    struct Registry: JSONDocument {
        var images: [(name: String, references: [String])] = []
        var patterns: [String: String] = [:]
        var versions: [String: String] = [:]
        var user: String?
        var password: String?
        var verifyTLS: Bool?
        var certificates: String?

        init(json: JSON) throws(JSONError) {
            var reader = try ObjectReader(json)
            let images: JSON? = try reader.optional("images")
            for member in images?.object?.members ?? [] {
                let list = member.value.isNull ? [] : member.value.array
                guard let list else {
                    throw JSONError(path: "images.\(member.name)", "expected a list of tags or digests")
                }
                // `1.20` without quotes is a tag all the same.
                let references = list.compactMap { $0.string ?? ($0.isNull ? nil : $0.text()) }
                self.images.append((member.name, references))
            }
            patterns = try reader.optional("images-by-tag-regex") ?? [:]
            versions = try reader.optional("images-by-semver") ?? [:]
            let credentials: JSON? = try reader.optional("credentials")
            user = credentials?["username"]?.string
            password = credentials?["password"]?.string
            verifyTLS = try reader.optional("tls-verify")
            certificates = try reader.optional("cert-dir")
            if let stranger = reader.unknown.members.first {
                throw JSONError(path: stranger.name, "is no key that we know")
            }
        }

        var json: JSON { .null }
    }

    private let path: String
    private let registries: [(host: String, registry: Registry)]

    public init(_ path: String) throws(ImageError) {
        self.path = path
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try File.read(path, limit: 4 << 20)
        } catch {
            throw ImageError(.file, "read \(path)", "\(error.errno)")
        }
        do {
            let document = try YAML.parse(bytes)
            guard let members = document.object?.members else {
                throw JSONError("expected registries, found \(document.kind)")
            }
            registries = try members.map { member in
                do throws(JSONError) {
                    return (member.name, try Registry(json: member.value))
                } catch {
                    throw error.under(member.name)
                }
            }
        } catch {
            throw ImageError(.malformed, "read \(path)", "\(error)")
        }
    }

    /// Asks the registries for the tags that the file does not name.
    /// - Parameter failed: told of what cannot be had; the rest is copied all the same.
    public func sources(
        options: TransferOptions, failed: (ImageError) -> Void
    ) throws(ImageError) -> [SyncSource] {
        var sources: [SyncSource] = []
        for (host, registry) in registries {
            var options = options
            if let user = registry.user { options.credentials = "\(user):\(registry.password ?? "")" }
            options.verifyTLS = registry.verifyTLS ?? options.verifyTLS
            options.certificateDirectory = registry.certificates ?? options.certificateDirectory
            for (name, references) in registry.images {
                attempt(failed) { () throws(ImageError) in
                    var source = SyncSource(images: [], options: options)
                    let repository = try ImageReference(parsing: "\(host)/\(name)")
                    for text in references {
                        var reference = repository
                        if let digest = try? Digest(parsing: text) {
                            reference.digest = digest
                        } else {
                            guard ImageName.isTag(text) else {
                                throw ImageError(
                                    .invalidReference, "sync \(host)/\(name)", "\"\(text)\" is no tag")
                            }
                            reference.tag = text
                        }
                        source.images.append(.init(reference))
                    }
                    if references.isEmpty {
                        source = try .repository(repository.repository, options: options)
                    }
                    sources.append(source)
                }
            }
            for (name, pattern) in registry.patterns.sorted(by: { $0.key < $1.key }) {
                attempt(failed) { () throws(ImageError) in
                    let expression = try TagPattern(pattern)
                    sources.append(try matching(host, name, options) { expression.matches($0) })
                }
            }
            for (name, text) in registry.versions.sorted(by: { $0.key < $1.key }) {
                attempt(failed) { () throws(ImageError) in
                    guard let constraint = VersionConstraint(text) else {
                        throw ImageError(
                            .malformed, "sync \(host)/\(name)", "\"\(text)\" is no constraint of versions")
                    }
                    sources.append(
                        try matching(host, name, options) { tag in
                            SemanticVersion(tag).map(constraint.accepts) ?? false
                        })
                }
            }
        }
        return sources
    }

    private func matching(
        _ host: String, _ name: String, _ options: TransferOptions, _ accepts: (String) -> Bool
    ) throws(ImageError) -> SyncSource {
        var source = try SyncSource.repository("\(host)/\(name)", options: options)
        source.images = source.images.filter { image in
            accepts((try? ImageReference(parsing: image.name))?.tag ?? "")
        }
        return source
    }

    private func attempt(
        _ failed: (ImageError) -> Void, _ body: () throws(ImageError) -> Void
    ) {
        do throws(ImageError) { try body() } catch { failed(error) }
    }
}

/// An extended regular expression (regex(7)).
private final class TagPattern {
    private let expression: UnsafeMutablePointer<regex_t>

    init(_ text: String) throws(ImageError) {
        expression = .allocate(capacity: 1)
        expression.initialize(to: regex_t())
        guard regcomp(expression, text, REG_EXTENDED | REG_NOSUB) == 0 else {
            expression.deallocate()
            throw ImageError(.malformed, "sync", "\"\(text)\" is no regular expression")
        }
    }

    deinit {
        regfree(expression)
        expression.deallocate()
    }

    func matches(_ text: String) -> Bool { regexec(expression, text, 0, nil, 0) == 0 }
}
