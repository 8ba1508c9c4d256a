internal import CCurl
internal import LayerArchive

/// Feeds a request's body to libcurl.
final class HTTPUpload {
    /// Why the body could not be read. The request was cut off before its end.
    private(set) var failure: RegistryError?
    private let source: any ByteSource
    private let size: Int64
    private let name: String
    private var sent: Int64 = 0

    init(_ body: HTTPBody, name: String) throws(RegistryError) {
        self.name = name
        size = body.size
        do { source = try body.open() } catch { throw Self.failure(error, name) }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        do {
            let wanted = Int(min(Int64(buffer.count), size - sent))
            guard wanted > 0 else { return 0 }
            let count = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]))
            sent += Int64(count)
            guard count > 0 else {
                throw ArchiveError(.truncated, "\(sent) bytes instead of \(size)")
            }
            if sent == size {
                // A verifying source tells of a wrong digest in place of the end:
                // ask for it while the request can still be broken off.
                var more: UInt8 = 0
                let extra = try withUnsafeMutableBytes(of: &more) { try source.read(into: $0) }
                if extra > 0 { throw ArchiveError(.sizeMismatch, "more than \(size) bytes") }
            }
            return count
        } catch {
            failure = Self.failure(error, name)
            return Int(CURL_READFUNC_ABORT)
        }
    }

    private static func failure(_ error: any Error, _ name: String) -> RegistryError {
        RegistryError(.source, name, "\(error)")
    }
}
