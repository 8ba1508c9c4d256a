internal import ContainerStorage
internal import ImageTrust
internal import JSONText
internal import LayerArchive
internal import LinuxSystem
internal import OCISpec
internal import RegistryClient

extension ImageError {
    init(_ operation: String, _ error: RegistryError) {
        let code: Code
        switch error.code {
        case .notFound: code = .notFound
        case .unauthorized, .denied: code = .unauthorized
        case .tooLarge: code = .limit
        case .cancelled: code = .cancelled
        case .configuration: code = .configuration
        case .malformed: code = .malformed
        case .source: code = .storage
        default: code = .registry
        }
        self.init(code, operation, error.description)
    }

    init(_ operation: String, _ error: TrustError) {
        let code: Code
        switch error.code {
        case .rejected, .signature: code = .untrusted
        case .configuration, .key: code = .configuration
        case .limit: code = .limit
        case .unsupported: code = .unsupported
        case .file: code = .file
        }
        self.init(code, operation, error.description)
    }

    init(_ operation: String, _ error: StorageError) {
        if error.code == .source, let cause = error.cause {
            self.init(operation, any: cause)
            return
        }
        let code: Code
        switch error.code {
        case .mismatch: code = .corrupt
        case .invalid: code = .malformed
        case .unsupported: code = .unsupported
        case .notFound: code = .notFound
        default: code = .storage
        }
        // Not to name one digest twice.
        if let cause = error.cause as? ArchiveError, cause.cause == nil, cause.object == error.object {
            self.init(code, operation, "\(error.operation) \(error.object): \(cause.message)")
        } else {
            self.init(code, operation, error.description)
        }
    }

    /// For what comes through streams, whose errors have no type.
    init(_ operation: String, any error: any Error) {
        switch error {
        case let error as ImageError: self = error
        case let error as RegistryError: self.init(operation, error)
        case let error as StorageError: self.init(operation, error)
        case let error as TrustError: self.init(operation, error)
        case let error as ArchiveError:
            let code: Code
            switch error.code {
            case .digestMismatch, .sizeMismatch: code = .corrupt
            case .limitExceeded: code = .limit
            case .unsupported: code = .unsupported
            case .fileSystem: code = .file
            default: code = .malformed
            }
            self.init(code, operation, error.description)
        case let error as SystemError: self.init(.file, operation, error.description)
        default: self.init(.file, operation, "\(error)")
        }
    }
}

extension Digest {
    /// The digest of a descriptor that somebody else wrote.
    init(_ descriptor: ContentDescriptor, in name: String) throws(ImageError) {
        try self.init(text: descriptor.digest, in: name)
    }

    init(text: String, in name: String) throws(ImageError) {
        do throws(ArchiveError) {
            try self.init(parsing: text)
        } catch {
            throw ImageError(.malformed, "read \(name)", error.description)
        }
    }

    /// The digest of bytes by the algorithm of another.
    static func of(_ bytes: [UInt8], like other: Digest) -> Digest {
        var hasher = DigestHasher(other.algorithm)
        bytes.withUnsafeBytes { hasher.update($0) }
        return hasher.finalize()
    }
}
