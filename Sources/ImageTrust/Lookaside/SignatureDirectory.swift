public import LayerArchive
internal import LinuxSystem

/// Signatures in files: a lookaside on disk, or a `dir:` image.
///
/// Others may write there (a staging area is often shared), so nothing is read from or written to a
/// place that links lead to outside of it, and only regular files are read.
public struct SignatureDirectory: Sendable {
    private let base: String
    /// Below it; empty for the base itself.
    private let path: String
    private var prefix = ""

    /// Of one image of a lookaside.
    public init(_ base: String, repository: String, manifest: Digest) {
        self.base = base
        path = Lookaside.directory(repository, manifest)
    }

    /// Of a `dir:` image, whose signatures are beside its manifest.
    /// - Parameter manifest: nil for what the image's name leads to; else one of its index's images.
    public init(image directory: String, below manifest: Digest?) {
        base = directory
        path = ""
        if let manifest { prefix = "\(manifest.hex)." }
    }

    private func place(_ name: String) -> String { path.isEmpty ? prefix + name : "\(path)/\(name)" }

    // MARK: Reading

    /// - Returns: nothing where there are none.
    public func read() throws(TrustError) -> [ImageSignature] {
        var signatures: [ImageSignature] = []
        var allowance = SignatureAllowance("\(base)/\(path)")
        do {
            let directory = try File.open(base, O_PATH | O_DIRECTORY)
            while true {
                let name = place("signature-\(signatures.count + 1)")
                guard let bytes = try readFile(name, at: directory.raw) else { return signatures }
                try allowance.take(bytes.count)
                signatures.append(try parse(bytes, name))
            }
        } catch let error as SystemError {
            if error.errno == .noEntry { return signatures }
            throw failure("read", error)
        } catch let error as TrustError {
            throw error
        } catch {
            throw TrustError(.file, "read signatures in \(base)", "\(error)")
        }
    }

    private func parse(_ bytes: [UInt8], _ name: String) throws(TrustError) -> ImageSignature {
        do throws(TrustError) { return try ImageSignature(fileContents: bytes) } catch {
            throw TrustError(error.code, "read the signature \(base)/\(name)", error.message)
        }
    }

    private func readFile(_ name: String, at directory: Int32) throws(SystemError) -> [UInt8]? {
        do throws(SystemError) {
            // A pipe would wait for a writer for ever.
            let file = try File.open(beneath: name, at: directory, O_RDONLY | O_NONBLOCK | O_NOCTTY)
            guard try FD.stat(file.raw).st_mode & S_IFMT == S_IFREG else {
                throw SystemError("read", name, .invalid)
            }
            return try FD.readAll(file.raw, limit: ImageSignature.limit)
        } catch {
            if error.errno == .noEntry { return nil }
            throw SystemError("read", name, error.errno)
        }
    }

    // MARK: Writing

    /// Puts signatures in place of those that are there.
    public func replace(with signatures: [ImageSignature]) throws(TrustError) {
        try write { directory throws(SystemError) in
            for (index, signature) in signatures.enumerated() {
                try File.replace(
                    "signature-\(index + 1)", at: directory, with: signature.fileContents)
            }
            var number = signatures.count + 1
            while File.exists("signature-\(number)", at: directory) {
                try File.unlink("signature-\(number)", at: directory)
                number += 1
            }
        }
    }

    /// Adds a signature behind those that are there.
    public func append(_ signature: ImageSignature) throws(TrustError) {
        try write { directory throws(SystemError) in
            var number = 1
            while File.exists("signature-\(number)", at: directory) { number += 1 }
            try File.replace("signature-\(number)", at: directory, with: signature.fileContents)
        }
    }

    /// With the directory made and locked, and what killed writers left swept.
    private func write(_ body: (Int32) throws(SystemError) -> Void) throws(TrustError) {
        do throws(SystemError) {
            try File.makeDirectories(base)
            let root = try File.open(base, O_RDONLY | O_DIRECTORY)
            var made = ""
            for component in path.split(separator: "/") {
                let parent = try File.open(
                    beneath: made.isEmpty ? "." : made, at: root.raw, O_RDONLY | O_DIRECTORY)
                do throws(SystemError) {
                    try File.makeDirectory(String(component), at: parent.raw)
                } catch  where error.errno == .exists {}
                made += (made.isEmpty ? "" : "/") + component
            }
            let directory = try File.open(
                beneath: made.isEmpty ? "." : made, at: root.raw, O_RDONLY | O_DIRECTORY)
            _ = try retrying("lock", made) { flock(directory.raw, LOCK_EX) }
            for name in try File.names(inDirectory: directory.raw)
            where name.hasPrefix("signature-") && name.hasSuffix(".tmp") {
                try File.unlink(name, at: directory.raw)
            }
            try body(directory.raw)
        } catch {
            throw failure("write", error)
        }
    }

    private func failure(_ verb: String, _ error: SystemError) -> TrustError {
        let why =
            error.errno == .crossDevice
            ? "\(error.object) leads out of it" : "\(error.object): \(error.errno)"
        return TrustError(.file, "\(verb) signatures in \(base)", why)
    }
}
