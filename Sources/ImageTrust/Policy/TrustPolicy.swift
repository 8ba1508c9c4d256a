internal import JSONText
internal import LinuxSystem

/// What must be known of an image before it is used (containers-policy.json(5)).
///
/// Vocabulary: a *scope* is a part of a transport's name space, a repository or a directory; each has
/// a list of *requirements*, all of which an image must meet. The narrowest scope counts alone.
///
///     let policy = try TrustPolicy.load(nil)
///     try policy.check(image) { try place.signatures(of: image) }
public struct TrustPolicy: Sendable {
    struct Scope: Sendable {
        var name: String
        var requirements: [PolicyRequirement]
    }

    /// As messages name it.
    let origin: String
    let fallback: [PolicyRequirement]
    let transports: [(name: String, scopes: [Scope])]

    private static let limit = 4 << 20

    /// Everything is accepted.
    public static let acceptingAnything = TrustPolicy(
        origin: "no policy", fallback: [.insecureAcceptAnything], transports: [])

    /// - Parameter path: nil for the user's or the system's. Where neither has one, nobody restricted
    ///   anything: images are accepted.
    public static func load(_ path: String?) throws(TrustError) -> TrustPolicy {
        guard let path = path ?? defaultPath else { return acceptingAnything }
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try File.read(path, limit: limit)
        } catch {
            throw TrustError(.configuration, "read the policy \(path)", "\(error.errno)")
        }
        return try TrustPolicy(parsing: bytes, origin: path)
    }

    public static let systemPath = "/etc/containers/policy.json"

    /// The policy that counts; nil where there is none.
    public static var defaultPath: String? {
        if let home = HomeDirectory.path {
            let own = "\(home)/.config/containers/policy.json"
            if File.exists(own) { return own }
        }
        return File.exists(systemPath) ? systemPath : nil
    }

    private init(
        origin: String, fallback: [PolicyRequirement], transports: [(name: String, scopes: [Scope])]
    ) {
        self.origin = origin
        self.fallback = fallback
        self.transports = transports
    }

    public init(parsing bytes: [UInt8], origin: String) throws(TrustError) {
        do throws(JSONError) {
            let fields = try PolicyFields(JSON(parsing: bytes, refusingDuplicates: true))
            guard let json = fields.value("default") else { throw JSONError(path: "default", "is missing") }
            let fallback = try Self.requirements(json, at: "default")
            var transports: [(name: String, scopes: [Scope])] = []
            if let json = fields.value("transports"), !json.isNull {
                guard let object = json.object else {
                    throw JSONError(path: "transports", "expected an object, found \(json.kind)")
                }
                for (name, scopes) in object.members {
                    do throws(JSONError) {
                        transports.append((name, try Self.scopes(scopes)))
                    } catch {
                        throw error.under("transports.\(name)")
                    }
                }
            }
            try fields.finish()
            self.init(origin: origin, fallback: fallback, transports: transports)
        } catch {
            throw TrustError(.configuration, "read the policy \(origin)", error.description)
        }
    }

    private static func scopes(_ json: JSON) throws(JSONError) -> [Scope] {
        guard let object = json.object else { throw JSONError("expected an object, found \(json.kind)") }
        return try object.members.map { member throws(JSONError) in
            Scope(name: member.name, requirements: try requirements(member.value, at: "\"\(member.name)\""))
        }
    }

    private static func requirements(_ json: JSON, at place: String) throws(JSONError) -> [PolicyRequirement]
    {
        guard let list = json.array, !list.isEmpty else {
            throw JSONError(path: place, "expected a list of requirements that is not empty")
        }
        var result: [PolicyRequirement] = []
        for (position, json) in list.enumerated() {
            do throws(JSONError) {
                result.append(try PolicyRequirement(json: json))
            } catch {
                throw error.under("\(place)[\(position)]")
            }
        }
        return result
    }
}

enum HomeDirectory {
    /// `$HOME`
    static var path: String? {
        guard let value = getenv("HOME") else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }
}
