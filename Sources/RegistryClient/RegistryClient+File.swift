internal import JSONText

extension RegistryClient {
    /// A small file of some web server, which gets no credentials.
    /// - Returns: nil when it is not there.
    public func file(at url: String, limit: Int) throws(RegistryError) -> [UInt8]? {
        guard let address = HTTPURL(url) else {
            throw RegistryError(
                .configuration, "get \(url.printable(limit: 300))", "it is no http or https URL")
        }
        let host = Repository(registry: Registry(host: address.authority), name: "")
        do throws(RegistryError) {
            return try repeating { () throws(RegistryError) -> [UInt8] in
                let session = try takeSession()
                let exchange = try open(url, of: host, headers: [], downgrade: false, session: session)
                let bytes = try exchange.body(limit: limit)
                giveBack(session, after: exchange)
                return bytes
            }
        } catch  where error.code == .notFound {
            return nil
        }
    }
}
