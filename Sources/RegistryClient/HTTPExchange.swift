internal import CCurl
internal import JSONText
internal import LayerArchive
internal import LinuxSystem

/// One request and its answer, read as it comes. libcurl pushes and our
/// readers pull: what does not fit the reader's buffer pauses the transfer.
final class HTTPExchange {
    let request: HTTPRequest
    private(set) var status = 0
    private(set) var headers: [(name: String, value: String)] = []

    private let session: HTTPSession
    private var curl: CurlLibrary { session.curl }
    private let easy: CurlLibrary.Handle
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private let errorText: UnsafeMutablePointer<CChar>
    private var attached = false

    private var headComplete = false
    private var result: CURLcode?
    private var target = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var filled = 0
    private var pending: [UInt8] = []
    private var pendingStart = 0
    private var paused = false
    private var upload: HTTPUpload?

    /// Sends the request and waits for the head of the answer.
    init(_ request: HTTPRequest, session: HTTPSession) throws(RegistryError) {
        self.request = request
        self.session = session
        guard let easy = session.curl.easyInit() else {
            throw RegistryError(.configuration, request.name, "curl_easy_init failed")
        }
        self.easy = easy
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        try configure()
        guard curl.multiAdd(session.multi, easy) == CURLM_OK else {
            throw RegistryError(.configuration, request.name, "curl_multi_add_handle failed")
        }
        attached = true
        while !headComplete && result == nil { try drive() }
        if let failure = upload?.failure { throw failure }
        if !headComplete { try checkResult() }
        guard headComplete else {
            throw RegistryError(.malformed, request.name, "the answer has no HTTP head")
        }
    }

    deinit {
        detach()
        BrokenPipe.shielded { curl.easyCleanup(easy) }
        curl.listFree(headerList)
        errorText.deallocate()
    }

    /// Lets go of the session. What has been received stays.
    func detach() {
        guard attached else { return }
        attached = false
        _ = BrokenPipe.shielded { curl.multiRemove(session.multi, easy) }
    }

    func header(_ name: String) -> String? {
        headers.last { $0.name == name }?.value
    }

    /// Where a 3xx answer points, made absolute. Its body goes by: libcurl knows at the end of it.
    var redirection: String? {
        _ = try? body(limit: 64 << 10)
        var text: UnsafeMutablePointer<CChar>?
        guard
            curl_get_string(curl.getinfo, easy, Int32(bitPattern: CURLINFO_REDIRECT_URL.rawValue), &text)
                == CURLE_OK,
            let text
        else { return nil }
        return String(cString: text)
    }

    /// The next bytes of the body, 0 at its end.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(RegistryError) -> Int {
        guard buffer.count > 0 else { return 0 }
        if pendingStart < pending.count {
            let count = min(buffer.count, pending.count - pendingStart)
            pending.withUnsafeBytes {
                buffer.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: $0[pendingStart..<pendingStart + count]))
            }
            pendingStart += count
            if pendingStart == pending.count {
                pending.removeAll(keepingCapacity: true)
                pendingStart = 0
            }
            return count
        }
        target = buffer
        filled = 0
        defer { target = UnsafeMutableRawBufferPointer(start: nil, count: 0) }
        if paused {
            paused = false
            _ = BrokenPipe.shielded { curl.easyPause(easy, CURLPAUSE_CONT) }
        }
        while filled == 0 && result == nil { try drive() }
        if filled == 0 { try checkResult() }
        return filled
    }

    /// The whole body.
    /// - Throws: `tooLarge` beyond `limit` bytes.
    func body(limit: Int) throws(RegistryError) -> [UInt8] {
        var output: [UInt8] = []
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = try read(into: buffer)
            if count == 0 { return output }
            guard output.count + count <= limit else {
                throw RegistryError(.tooLarge, request.name, "the answer is larger than \(limit) bytes")
            }
            output.append(contentsOf: buffer[..<count])
        }
    }

    /// Lets libcurl work: whatever is ready, or waits a while for more.
    private func drive() throws(RegistryError) {
        if request.stops.contains(where: \.isRaised) {
            throw RegistryError(.cancelled, request.name, "cancelled")
        }
        let waitsForHead = !headComplete
        var running: Int32 = 0
        var code = BrokenPipe.shielded { curl.multiPerform(session.multi, &running) }
        var left: Int32 = 0
        while let message = curl.multiMessage(session.multi, &left) {
            if message.pointee.msg == CURLMSG_DONE, message.pointee.easy_handle == easy {
                result = message.pointee.data.result
            }
        }
        // Not when there is something to go on with: of a paused transfer nothing is to be heard.
        if code == CURLM_OK, filled == 0, result == nil, !paused, waitsForHead == !headComplete {
            code = curl.multiPoll(session.multi, nil, 0, 250, nil)
        }
        guard code == CURLM_OK else {
            throw RegistryError(.connection, request.name, "libcurl failed (\(code.rawValue))")
        }
    }

    fileprivate func receive(header line: UnsafeRawBufferPointer) {
        let text = String(decoding: line, as: UTF8.self)
        let trimmed = text.trimmed
        if trimmed.hasPrefix("HTTP/") {
            headers = []
            status = trimmed.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        } else if trimmed.isEmpty {
            // 1xx heads come before the real one (RFC 9110, 15.2).
            if status >= 200 { headComplete = true }
        } else if let colon = trimmed.firstIndex(of: ":"), !headComplete {
            headers.append(
                (trimmed[..<colon].lowercased(), String(trimmed[trimmed.index(after: colon)...]).trimmed))
        }
    }

    fileprivate func receive(body bytes: UnsafeRawBufferPointer) -> Int {
        let space = target.count - filled
        if space == 0 && pendingStart < pending.count {
            paused = true
            return Int(CURL_WRITEFUNC_PAUSE)
        }
        let direct = min(space, bytes.count)
        if direct > 0 {
            UnsafeMutableRawBufferPointer(rebasing: target[filled..<filled + direct])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<direct]))
            filled += direct
        }
        if direct < bytes.count { pending.append(contentsOf: bytes[direct...]) }
        return bytes.count
    }
}

extension HTTPExchange {
    private func set(_ option: CURLoption, _ value: Int) {
        _ = curl_set_long(curl.setopt, easy, Int32(bitPattern: option.rawValue), value)
    }

    private func set(_ option: CURLoption, _ value: String) {
        _ = curl_set_string(curl.setopt, easy, Int32(bitPattern: option.rawValue), value)
    }

    private func set(_ option: CURLoption, pointer: UnsafeMutableRawPointer?) {
        _ = curl_set_pointer(curl.setopt, easy, Int32(bitPattern: option.rawValue), pointer)
    }

    private func configure() throws(RegistryError) {
        set(CURLOPT_URL, request.url.text)
        if let socket = request.socket { set(CURLOPT_UNIX_SOCKET_PATH, socket) }
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_ERRORBUFFER, pointer: errorText)
        // No other protocol, whatever a URL or a redirection says.
        if curl_set_string(
            curl.setopt, easy, Int32(bitPattern: CURLOPT_PROTOCOLS_STR.rawValue), "http,https") != CURLE_OK
        {
            // Before 7.85: a bit mask (CURLOPT_PROTOCOLS, 181), 1 for http and 2 for https.
            _ = curl_set_long(curl.setopt, easy, 181, 3)
        }
        set(CURLOPT_FOLLOWLOCATION, 0)
        set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1)
        // HTTP/2 where a TLS server offers it. No two exchanges share a connection (`HTTPSession`), so
        // one that is paused holds up no other. What is large comes faster by 1.1: libcurl takes half
        // as much time again over frames, and waits for their windows.
        set(CURLOPT_HTTP_VERSION, request.isLarge ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS)
        set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        set(CURLOPT_BUFFERSIZE, 256 << 10)
        set(CURLOPT_TCP_KEEPALIVE, 1)
        set(CURLOPT_CONNECTTIMEOUT, 30)
        // Less than 32 bytes a second for a minute is a dead peer.
        set(CURLOPT_LOW_SPEED_LIMIT, 32)
        set(CURLOPT_LOW_SPEED_TIME, 60)
        set(CURLOPT_USERAGENT, "apus/0.1")

        var list: UnsafeMutablePointer<curl_slist>?
        for header in request.headers {
            guard let longer = curl.listAppend(list, header) else {
                curl.listFree(list)
                throw RegistryError(.configuration, request.name, "out of memory")
            }
            list = longer
        }
        headerList = list
        set(CURLOPT_HTTPHEADER, pointer: list)
        if let form = request.form {
            set(CURLOPT_POST, 1)
            set(CURLOPT_POSTFIELDSIZE, form.count)
            form.withUnsafeBytes {
                set(CURLOPT_COPYPOSTFIELDS, pointer: UnsafeMutableRawPointer(mutating: $0.baseAddress))
            }
        }
        if request.method == "HEAD" { set(CURLOPT_NOBODY, 1) }
        if let body = request.body {
            try configureUpload(body)
        } else if request.method == "DELETE" {
            set(CURLOPT_CUSTOMREQUEST, request.method)
        }
        configureTLS()
        // What is on this machine is not asked of another one, whatever http_proxy says.
        if Registry(host: request.url.authority).isLoopback { set(CURLOPT_NOPROXY, "*") }

        let context = Unmanaged.passUnretained(self).toOpaque()
        set(CURLOPT_HEADERDATA, pointer: context)
        set(CURLOPT_WRITEDATA, pointer: context)
        _ = curl_set_callback(curl.setopt, easy, Int32(bitPattern: CURLOPT_HEADERFUNCTION.rawValue)) {
            bytes, size, count, context in
            let exchange = Unmanaged<HTTPExchange>.fromOpaque(context!).takeUnretainedValue()
            exchange.receive(header: UnsafeRawBufferPointer(start: bytes, count: size * count))
            return size * count
        }
        _ = curl_set_callback(curl.setopt, easy, Int32(bitPattern: CURLOPT_WRITEFUNCTION.rawValue)) {
            bytes, size, count, context in
            let exchange = Unmanaged<HTTPExchange>.fromOpaque(context!).takeUnretainedValue()
            return exchange.receive(body: UnsafeRawBufferPointer(start: bytes, count: size * count))
        }
    }

    private func configureUpload(_ body: HTTPBody) throws(RegistryError) {
        let upload = try HTTPUpload(body, name: request.name)
        self.upload = upload
        set(CURLOPT_UPLOAD, 1)
        set(CURLOPT_CUSTOMREQUEST, request.method)
        set(CURLOPT_UPLOAD_BUFFERSIZE, 512 << 10)
        _ = curl_set_offset(
            curl.setopt, easy, Int32(bitPattern: CURLOPT_INFILESIZE_LARGE.rawValue), curl_off_t(body.size))
        // A registry may hash and move a large blob before it answers.
        set(CURLOPT_LOW_SPEED_TIME, 300)
        set(CURLOPT_READDATA, pointer: Unmanaged.passUnretained(upload).toOpaque())
        _ = curl_set_callback(curl.setopt, easy, Int32(bitPattern: CURLOPT_READFUNCTION.rawValue)) {
            bytes, size, count, context in
            Unmanaged<HTTPUpload>.fromOpaque(context!).takeUnretainedValue()
                .read(into: UnsafeMutableRawBufferPointer(start: bytes, count: size * count))
        }
    }

    private func configureTLS() {
        let tls = request.tls
        set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        set(CURLOPT_SSL_VERIFYPEER, tls.verify ? 1 : 0)
        set(CURLOPT_SSL_VERIFYHOST, tls.verify ? 2 : 0)
        if var authorities = tls.authorities {
            authorities.withUnsafeMutableBytes {
                _ = curl_set_blob(
                    curl.setopt, easy, Int32(bitPattern: CURLOPT_CAINFO_BLOB.rawValue), $0.baseAddress,
                    $0.count)
            }
        }
        if let certificate = tls.certificate, let key = tls.key {
            set(CURLOPT_SSLCERT, certificate)
            set(CURLOPT_SSLKEY, key)
        }
    }

    private func checkResult() throws(RegistryError) {
        guard let result, result != CURLE_OK else { return }
        var reason = String(cString: errorText)
        if reason.isEmpty, let text = curl.easyError(result) { reason = String(cString: text) }
        reason = reason.printable(limit: 300)
        let code: RegistryError.Code
        switch result {
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM,
            CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_USE_SSL_FAILED, CURLE_SSL_CIPHER,
            CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_PINNEDPUBKEYNOTMATCH:
            code = .tls
        case CURLE_OPERATION_TIMEDOUT: code = .timedOut
        case CURLE_UNSUPPORTED_PROTOCOL, CURLE_WEIRD_SERVER_REPLY, CURLE_URL_MALFORMAT,
            CURLE_BAD_CONTENT_ENCODING:
            code = .malformed
        default: code = .connection
        }
        var error = RegistryError(code, request.name, reason)
        error.failedHandshake = result == CURLE_SSL_CONNECT_ERROR
        error.neverConnected =
            result == CURLE_COULDNT_CONNECT || result == CURLE_COULDNT_RESOLVE_HOST
            || result == CURLE_COULDNT_RESOLVE_PROXY
        throw error
    }
}
