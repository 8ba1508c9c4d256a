internal import LinuxSystem

/// The connections of one thread, kept open between requests.
/// One exchange at a time uses a session; `SessionPool` sees to that.
final class HTTPSession: @unchecked Sendable {
    let curl: CurlLibrary
    let multi: CurlLibrary.Handle

    init() throws(RegistryError) {
        curl = try CurlLibrary.shared()
        guard let multi = curl.multiInit() else {
            throw RegistryError(.configuration, "start libcurl", "curl_multi_init failed")
        }
        self.multi = multi
    }

    deinit { _ = BrokenPipe.shielded { curl.multiCleanup(multi) } }
}
