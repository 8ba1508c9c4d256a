internal import CCurl
internal import LinuxSystem

/// libcurl, opened at first use: commands that talk to no registry do not pay
/// for loading it and the thirty libraries behind it.
struct CurlLibrary: @unchecked Sendable {  // pointers into a library that is never closed
    typealias Handle = UnsafeMutableRawPointer

    let setopt: UnsafeMutableRawPointer
    let getinfo: UnsafeMutableRawPointer
    let easyInit: @convention(c) () -> Handle?
    let easyCleanup: @convention(c) (Handle) -> Void
    let easyPause: @convention(c) (Handle, Int32) -> CURLcode
    let easyError: @convention(c) (CURLcode) -> UnsafePointer<CChar>?
    let multiInit: @convention(c) () -> Handle?
    let multiCleanup: @convention(c) (Handle) -> CURLMcode
    let multiAdd: @convention(c) (Handle, Handle) -> CURLMcode
    let multiRemove: @convention(c) (Handle, Handle) -> CURLMcode
    let multiPerform: @convention(c) (Handle, UnsafeMutablePointer<Int32>) -> CURLMcode
    let multiPoll:
        @convention(c) (Handle, UnsafeMutableRawPointer?, UInt32, Int32, UnsafeMutablePointer<Int32>?) ->
            CURLMcode
    let multiMessage: @convention(c) (Handle, UnsafeMutablePointer<Int32>) -> UnsafeMutablePointer<CURLMsg>?
    let listAppend:
        @convention(c) (UnsafeMutablePointer<curl_slist>?, UnsafePointer<CChar>) -> UnsafeMutablePointer<
            curl_slist
        >?
    let listFree: @convention(c) (UnsafeMutablePointer<curl_slist>?) -> Void

    private static let loaded: Result<CurlLibrary, RegistryError> = {
        do throws(RegistryError) { return .success(try CurlLibrary()) } catch { return .failure(error) }
    }()

    static func shared() throws(RegistryError) -> CurlLibrary { try loaded.get() }

    private init() throws(RegistryError) {
        var library: UnsafeMutableRawPointer?
        for name in ["libcurl.so.4", "libcurl-gnutls.so.4"] where library == nil {
            library = dlopen(name, RTLD_NOW | RTLD_LOCAL)
        }
        guard let library else {
            let reason = dlerror().map { String(cString: $0) } ?? "not found"
            throw RegistryError(
                .configuration, "load libcurl.so.4", "\(reason); install the package libcurl4")
        }
        func symbol(_ name: String) throws(RegistryError) -> UnsafeMutableRawPointer {
            guard let address = dlsym(library, name) else {
                throw RegistryError(.configuration, "load libcurl.so.4", "it has no \(name): it is too old")
            }
            return address
        }
        func function<Function>(_ name: String, as type: Function.Type = Function.self) throws(RegistryError)
            -> Function
        { unsafeBitCast(try symbol(name), to: type) }

        let initialize: @convention(c) (Int) -> CURLcode = try function("curl_global_init")
        guard initialize(Int(CURL_GLOBAL_ALL)) == CURLE_OK else {
            throw RegistryError(.configuration, "load libcurl.so.4", "curl_global_init failed")
        }
        setopt = try symbol("curl_easy_setopt")
        getinfo = try symbol("curl_easy_getinfo")
        easyInit = try function("curl_easy_init")
        easyCleanup = try function("curl_easy_cleanup")
        easyPause = try function("curl_easy_pause")
        easyError = try function("curl_easy_strerror")
        multiInit = try function("curl_multi_init")
        multiCleanup = try function("curl_multi_cleanup")
        multiAdd = try function("curl_multi_add_handle")
        multiRemove = try function("curl_multi_remove_handle")
        multiPerform = try function("curl_multi_perform")
        multiPoll = try function("curl_multi_poll")
        multiMessage = try function("curl_multi_info_read")
        listAppend = try function("curl_slist_append")
        listFree = try function("curl_slist_free_all")
    }
}
