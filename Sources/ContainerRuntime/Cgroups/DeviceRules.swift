internal import OCISpec

/// The device rules of a container, in the order in which they were written: the
/// last that speaks of a device and an access decides.
struct DeviceRules: Equatable {
    struct Access: OptionSet, Hashable {
        let rawValue: Int32
        // BPF_DEVCG_ACC_… (linux/bpf.h).
        static let make = Access(rawValue: 1)
        static let read = Access(rawValue: 2)
        static let write = Access(rawValue: 4)
        static let all: Access = [.make, .read, .write]

        /// `rwm`, as v1 writes it.
        var text: String {
            (contains(.read) ? "r" : "") + (contains(.write) ? "w" : "") + (contains(.make) ? "m" : "")
        }
    }

    enum Kind: Int32 {
        // BPF_DEVCG_DEV_… (linux/bpf.h).
        case block = 1
        case character = 2
        var letter: String { self == .block ? "b" : "c" }
    }

    /// Devices of a kind; a nil number is all numbers.
    struct Devices: Hashable {
        var kind: Kind
        var major: Int64?
        var minor: Int64?

        var text: String {
            "\(kind.letter) \(major.map { String($0) } ?? "*"):\(minor.map { String($0) } ?? "*")"
        }

        func overlaps(_ other: Devices) -> Bool {
            kind == other.kind && (major == nil || other.major == nil || major == other.major)
                && (minor == nil || other.minor == nil || minor == other.minor)
        }
    }

    struct Rule: Equatable {
        var devices: Devices
        var access: Access
        var allow: Bool
    }

    /// What holds where no rule speaks.
    private(set) var allowsByDefault = false
    private(set) var rules: [Rule] = []

    /// - Parameter specified: nothing is allowed before the first of them.
    init(_ specified: [LinuxResources.DeviceRule]) throws(CgroupError) {
        for rule in specified {
            let access = try Self.access(rule.access, allow: rule.allow)
            let kinds: [Kind]
            switch rule.type ?? "a" {
            case "c", "u": kinds = [.character]
            case "b": kinds = [.block]
            case "a", "": kinds = [.block, .character]
            case let type: throw CgroupError(.invalid, "invalid device type \"\(type)\"")
            }
            let major = try Self.number(rule.major)
            let minor = try Self.number(rule.minor)
            if kinds.count == 2, major == nil, minor == nil, access == .all {
                // Decides about everything, so nothing before it matters.
                allowsByDefault = rule.allow
                rules = []
                continue
            }
            for kind in kinds {
                let devices = Devices(kind: kind, major: major, minor: minor)
                rules.append(Rule(devices: devices, access: access, allow: rule.allow))
            }
        }
        rules += Self.always
    }

    /// What every container may use (config-linux.md, "Default Devices"): the
    /// devices in its /dev, its terminals, and making of device nodes, which is
    /// harmless as long as opening them is not allowed. As runc, also /dev/net/tun.
    private static let always: [Rule] = {
        var rules = [Kind.character, .block].map {
            Rule(devices: Devices(kind: $0, major: nil, minor: nil), access: .make, allow: true)
        }
        let characters: [(Int64, Int64?)] = [
            (1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2), (10, 200), (136, nil),
        ]
        for (major, minor) in characters {
            rules.append(
                Rule(
                    devices: Devices(kind: .character, major: major, minor: minor), access: .all, allow: true)
            )
        }
        return rules
    }()

    private static func access(_ text: String?, allow: Bool) throws(CgroupError) -> Access {
        guard let text, !text.isEmpty else { return .all }
        var access: Access = []
        for letter in text {
            switch letter {
            case "r": access.insert(.read)
            case "w": access.insert(.write)
            case "m": access.insert(.make)
            default:
                if allow { throw CgroupError(.invalid, "invalid device access \"\(text)\"") }
                // Whatever is to be denied besides what there is (runc takes any letter).
                return .all
            }
        }
        return access
    }

    private static func number(_ number: Int64?) throws(CgroupError) -> Int64? {
        guard let number, number != -1 else { return nil }
        guard number >= 0, number <= Int64(UInt32.max) else {
            throw CgroupError(.invalid, "invalid device number \(number)")
        }
        return number
    }

    /// Whether a container may use devices in a way, by the definition above.
    func allows(_ kind: Kind, _ major: Int64, _ minor: Int64, _ access: Access) -> Bool {
        for bit in [Access.make, .read, .write] where access.contains(bit) {
            let device = Devices(kind: kind, major: major, minor: minor)
            let last = rules.last { $0.devices.overlaps(device) && $0.access.contains(bit) }
            if !(last?.allow ?? allowsByDefault) { return false }
        }
        return true
    }
}
