public import JSONText

/// The machine that an image is for (`platform` of a descriptor, and the
/// members of the same names in an image's config).
public struct Platform: JSONDocument, Hashable, CustomStringConvertible {
    public var os: String
    public var architecture: String
    public var variant: String?
    public var osVersion: String?
    public var osFeatures: [String] = []

    public init(os: String = "linux", architecture: String, variant: String? = nil) {
        self.os = os
        self.architecture = architecture
        self.variant = variant
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        os = try reader.optional("os") ?? ""
        architecture = try reader.optional("architecture") ?? ""
        let variant: String? = try reader.optional("variant")
        self.variant = variant == "" ? nil : variant
        osVersion = try reader.optional("os.version")
        osFeatures = try reader.optional("os.features") ?? []
    }

    public var json: JSON {
        var object: JSONObject = ["architecture": .string(architecture), "os": .string(os)]
        object.set("os.version", osVersion)
        object.set("os.features", nonEmpty: osFeatures)
        object.set("variant", variant)
        return .object(object)
    }

    /// `linux/arm64/v8`.
    public var description: String {
        "\(os)/\(architecture)" + (variant.map { "/\($0)" } ?? "")
    }
}

extension Platform {
    /// The platform of the running machine.
    public static var host: Platform {
        #if arch(x86_64)
            Platform(architecture: "amd64")
        #elseif arch(arm64)
            Platform(architecture: "arm64", variant: "v8")
        #elseif arch(riscv64)
            Platform(architecture: "riscv64")
        #elseif arch(s390x)
            Platform(architecture: "s390x")
        #elseif arch(powerpc64le)
            Platform(architecture: "ppc64le")
        #else
            Platform(architecture: "arm", variant: "v7")
        #endif
    }

    /// Reads `os/architecture[/variant]` or an architecture alone, with the
    /// usual other names of architectures (`x86_64`, `aarch64`).
    public init?(parsing text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { $0.lowercased() }
        guard !parts.contains(""), (1...3).contains(parts.count) else { return nil }
        let allowed = parts.allSatisfy { part in
            part.utf8.allSatisfy {
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".")
            }
        }
        guard allowed else { return nil }
        switch parts.count {
        case 1: self.init(architecture: parts[0])
        case 2: self.init(os: parts[0], architecture: parts[1])
        default: self.init(os: parts[0], architecture: parts[1], variant: parts[2])
        }
        self = normalized
    }

    /// The same platform in Go's words: `amd64` for `x86_64`, arm with a
    /// variant, arm64 with v8 left out, amd64 with v1 left out.
    public var normalized: Platform {
        var result = self
        result.os = os.lowercased()
        if result.os == "macos" { result.os = "darwin" }
        result.variant = variant?.lowercased()
        switch architecture.lowercased() {
        case "amd64", "x86_64", "x86-64":
            result.architecture = "amd64"
            if result.variant == "v1" { result.variant = nil }
        case "386", "i386", "i486", "i586", "i686", "x86":
            result.architecture = "386"
            result.variant = nil
        case "arm64", "aarch64":
            result.architecture = "arm64"
            if result.variant == "8" || result.variant == "v8" { result.variant = nil }
        case "armhf":
            result.architecture = "arm"
            result.variant = "v7"
        case "armel":
            result.architecture = "arm"
            result.variant = "v6"
        case "arm":
            result.architecture = "arm"
            if let number = result.variant, !number.hasPrefix("v") { result.variant = "v\(number)" }
        case let other:
            result.architecture = other
        }
        return result
    }

    /// How well an image for `offered` runs where this platform is asked for:
    /// nil when not at all, else the smaller the better.
    public func distance(to offered: Platform) -> Int? {
        let wanted = normalized
        let offered = offered.normalized
        guard wanted.os == offered.os, wanted.architecture == offered.architecture else { return nil }
        if wanted.variant == offered.variant { return 0 }
        func level(_ platform: Platform, absent: Int) -> Int? {
            guard let variant = platform.variant else { return absent }
            return variant.hasPrefix("v") ? Int(variant.dropFirst()) : nil
        }
        switch wanted.architecture {
        // A later machine runs an earlier variant's programs, not the other way round.
        case "arm":
            guard let want = level(wanted, absent: 7), let have = level(offered, absent: 5) else {
                return nil
            }
            return have <= want ? 1 + want - have : nil
        case "amd64":
            guard let want = level(wanted, absent: 1), let have = level(offered, absent: 1) else {
                return nil
            }
            return have <= want ? 1 + want - have : nil
        case "arm64":
            guard let want = level(wanted, absent: 8), let have = level(offered, absent: 8) else {
                return nil
            }
            return have <= want ? 1 + want - have : nil
        default:
            return wanted.variant == nil ? 1 : nil
        }
    }
}
