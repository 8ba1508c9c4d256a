internal import COpenSSL

/// An X.509 certificate.
final class Certificate: @unchecked Sendable {
    fileprivate let pointer: OpaquePointer
    let der: [UInt8]

    init(der: [UInt8]) throws(TrustError) {
        var used = 0
        let pointer: OpaquePointer? = der.withUnsafeBufferPointer { bytes in
            var position = bytes.baseAddress
            let certificate = d2i_X509(nil, &position, bytes.count)
            used = position.map { $0 - bytes.baseAddress! } ?? 0
            return certificate
        }
        guard let pointer else {
            ERR_clear_error()
            throw TrustError(.signature, "read the certificate", "it is none")
        }
        self.pointer = pointer
        self.der = der
        guard used == der.count else {
            throw TrustError(.signature, "read the certificate", "something follows it")
        }
    }

    deinit { X509_free(pointer) }

    /// All certificates of a text.
    static func all(pem text: [UInt8], name: String) throws(TrustError) -> [Certificate] {
        guard let blocks = PEM.blocks(text), !blocks.isEmpty,
            blocks.allSatisfy({ $0.label == "CERTIFICATE" })
        else { throw TrustError(.key, "read \(name)", "it is no PEM text of certificates") }
        return try blocks.map { block throws(TrustError) in try Certificate(der: block.bytes) }
    }

    var publicKey: PublicKey? { X509_get_pubkey(pointer).map(PublicKey.init(owning:)) }

    /// Verifies the way to one of the roots, for signatures of code.
    /// - Parameter time: seconds since 1970; nil for now.
    func verify(roots: [Certificate], intermediates: [Certificate], at time: Int64?) throws(TrustError) {
        defer { ERR_clear_error() }
        guard let store = X509_STORE_new(), let context = X509_STORE_CTX_new(),
            let untrusted = OPENSSL_sk_new_null()
        else { throw Self.wrong("out of memory") }
        defer {
            X509_STORE_CTX_free(context)
            X509_STORE_free(store)
            OPENSSL_sk_free(untrusted)
        }
        for root in roots { X509_STORE_add_cert(store, root.pointer) }
        for certificate in intermediates {
            OPENSSL_sk_push(untrusted, UnsafeRawPointer(certificate.pointer))
        }
        guard X509_STORE_CTX_init(context, store, pointer, untrusted) == 1 else {
            throw Self.wrong("out of memory")
        }
        let parameters = X509_STORE_CTX_get0_param(context)
        // Whatever was given as a root is one, whoever signed it.
        X509_VERIFY_PARAM_set_flags(parameters, UInt(X509_V_FLAG_PARTIAL_CHAIN))
        if let time { X509_VERIFY_PARAM_set_time(parameters, time_t(time)) }
        guard X509_verify_cert(context) == 1 else {
            let code = X509_STORE_CTX_get_error(context)
            throw Self.wrong(
                X509_verify_cert_error_string(Int(code)).map { String(cString: $0) } ?? "error \(code)")
        }
        // OpenSSL 3.0 knows no purpose for this.
        let chain = X509_STORE_CTX_get0_chain(context)
        for index in 0..<OPENSSL_sk_num(chain) {
            guard let member = OPENSSL_sk_value(chain, index) else { continue }
            let usage = X509_get_extended_key_usage(OpaquePointer(member))
            // UInt32.max: the certificate does not restrict it.
            guard usage & UInt32(XKU_CODE_SIGN | XKU_ANYEKU) != 0 else {
                throw Self.wrong("it is not for signing code")
            }
        }
    }

    /// The addresses that the certificate is for (RFC 5280, section 4.2.1.6).
    var emails: [String] { alternativeNames(GEN_EMAIL) }

    /// Whether it is for a host; one of its names may be a wildcard (RFC 6125, section 6.4.3).
    func isFor(hostname: String) -> Bool {
        defer { ERR_clear_error() }
        let flags = UInt32(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)
        return X509_check_host(pointer, hostname, hostname.utf8.count, flags, nil) == 1
    }

    private func alternativeNames(_ wanted: Int32) -> [String] {
        // With a second extension of the kind this finds none (X509V3_get_d2i(3)).
        guard let names = X509_get_ext_d2i(pointer, NID_subject_alt_name, nil, nil) else { return [] }
        let stack = OpaquePointer(names)
        defer { GENERAL_NAMES_free(stack) }
        var result: [String] = []
        for index in 0..<OPENSSL_sk_num(stack) {
            guard let name = OPENSSL_sk_value(stack, index) else { continue }
            var type: Int32 = 0
            let value = GENERAL_NAME_get0_value(name.assumingMemoryBound(to: GENERAL_NAME.self), &type)
            guard type == wanted, let value else { continue }
            let text = value.assumingMemoryBound(to: ASN1_STRING.self)
            guard let bytes = ASN1_STRING_get0_data(text) else { continue }
            result.append(
                String(
                    decoding: UnsafeBufferPointer(start: bytes, count: Int(ASN1_STRING_length(text))),
                    as: UTF8.self))
        }
        return result
    }

    /// The value of an extension.
    /// - Throws: `signature` when it is there twice.
    func `extension`(_ identifier: String) throws(TrustError) -> [UInt8]? {
        guard let object = OBJ_txt2obj(identifier, 1) else { return nil }
        defer { ASN1_OBJECT_free(object) }
        let place = X509_get_ext_by_OBJ(pointer, object, -1)
        guard place >= 0, let found = X509_get_ext(pointer, place),
            let value = X509_EXTENSION_get_data(found), let bytes = ASN1_STRING_get0_data(value)
        else { return nil }
        guard X509_get_ext_by_OBJ(pointer, object, place) < 0 else {
            throw Self.wrong("its extension \(identifier) is there twice")
        }
        return Array(UnsafeBufferPointer(start: bytes, count: Int(ASN1_STRING_length(value))))
    }

    static func wrong(_ why: String) -> TrustError {
        TrustError(.signature, "verify the certificate", why)
    }
}
