internal import LinuxSystem

/// Certificates for one registry (containers-certs.d(5)): `*.crt` are
/// authorities to trust besides the system's, `X.cert` with `X.key` say who we are.
enum CertificateDirectory {
    /// - Parameter explicit: `--cert-dir`; else `certs.d/REGISTRY` of the user, the system and Docker.
    static func settings(registry: String, explicit: String?) throws(RegistryError) -> TLSSettings {
        if let explicit {
            do throws(SystemError) {
                return try read(explicit)
            } catch {
                throw RegistryError(.configuration, "read certificates in \(explicit)", "\(error)")
            }
        }
        var directories: [String] = []
        if let home = AuthFile.environment("HOME"), !home.isEmpty {
            directories.append("\(home)/.config/containers/certs.d")
        }
        directories += ["/etc/containers/certs.d", "/etc/docker/certs.d"]
        for directory in directories {
            let path = "\(directory)/\(registry)"
            do throws(SystemError) {
                return try read(path)
            } catch  where error.errno == .noEntry || error.errno == .notDirectory {
                continue
            } catch {
                throw RegistryError(.configuration, "read certificates in \(path)", "\(error)")
            }
        }
        return TLSSettings()
    }

    private static func read(_ path: String) throws(SystemError) -> TLSSettings {
        var settings = TLSSettings()
        let names = try File.names(in: path).sorted()
        for name in names {
            let file = "\(path)/\(name)"
            if name.hasSuffix(".crt") {
                let certificate = try File.read(file, limit: 1 << 20)
                if settings.authorities == nil { settings.authorities = system() }
                settings.authorities! += certificate + [0x0A]
            } else if name.hasSuffix(".cert") {
                let key = String(name.dropLast(5)) + ".key"
                if names.contains(key) {
                    settings.certificate = file
                    settings.key = "\(path)/\(key)"
                }
            }
        }
        return settings
    }

    /// The system's authorities in one PEM text.
    private static func system() -> [UInt8] {
        let paths = [
            AuthFile.environment("SSL_CERT_FILE") ?? "", "/etc/ssl/certs/ca-certificates.crt",
            "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
        ]
        for path in paths where !path.isEmpty {
            if let bytes = try? File.read(path, limit: 16 << 20) { return bytes + [0x0A] }
        }
        return []
    }
}
