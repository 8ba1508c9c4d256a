internal import OCISpec

/// v1 keeps a default and a list of exceptions (devices.rst). It can express
/// rules only as long as none cuts a piece out of a wider one.
struct DeviceExceptions: Equatable {
    let allowsByDefault: Bool
    /// What differs from the default, in the order of the rules.
    private(set) var exceptions: [(devices: DeviceRules.Devices, access: DeviceRules.Access)] = []

    init(_ rules: DeviceRules) throws(CgroupError) {
        allowsByDefault = rules.allowsByDefault
        for rule in rules.rules {
            let same = exceptions.firstIndex { $0.devices == rule.devices }
            if rule.allow != allowsByDefault {
                if let same {
                    exceptions[same].access.formUnion(rule.access)
                } else {
                    exceptions.append((rule.devices, rule.access))
                }
                continue
            }
            if let same { exceptions[same].access.subtract(rule.access) }
            let wider = exceptions.first {
                $0.devices.overlaps(rule.devices) && !$0.access.isDisjoint(with: rule.access)
            }
            if let wider {
                throw CgroupError(
                    .invalid,
                    "cgroup v1 cannot except devices \(rule.devices.text) \(rule.access.text) from the rule for \(wider.devices.text) \(wider.access.text)"
                )
            }
        }
        exceptions.removeAll { $0.access.isEmpty }
    }

    static func == (left: DeviceExceptions, right: DeviceExceptions) -> Bool {
        left.allowsByDefault == right.allowsByDefault && left.lines == right.lines
    }

    var lines: [String] { exceptions.map { "\($0.devices.text) \($0.access.text)" } }

    func apply(to group: CgroupDirectory) throws(CgroupError) {
        if allowsByDefault {
            // A new group has what the group above has.
            if !group.isNew { try group.write("a", to: "devices.allow") }
            return try group.write(lines, to: "devices.deny")
        }
        guard !group.isNew else {
            try group.write("a", to: "devices.deny")
            return try group.write(lines, to: "devices.allow")
        }
        // In a group in use nothing that stays allowed may fail meanwhile.
        let current = try group.read("devices.list").split(separator: "\n").map(String.init)
        if current.contains("a *:* rwm") {
            try group.write("a", to: "devices.deny")
            return try group.write(lines, to: "devices.allow")
        }
        try group.write(lines.filter { !current.contains($0) }, to: "devices.allow")
        // A line of the list may allow more than ours for the same devices.
        try group.write(current.filter { !lines.contains($0) }, to: "devices.deny")
        try group.write(lines, to: "devices.allow")
    }
}
