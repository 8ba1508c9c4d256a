extension DeviceRules {
    /// The rules as `DevicePolicy` and `DeviceAllow`, which can allow alone.
    ///
    /// Ours are in force besides, in the group's own program (v2) or list (v1). On v2 an access needs
    /// both to agree, so rules that systemd cannot say are left to ours; on v1 systemd's list comes
    /// first and is then written over, so that it may deny too much but never too little.
    func properties(isUnified: Bool) -> [SystemdManager.Property] {
        func strict(_ allowed: [DBusValue]) -> [SystemdManager.Property] {
            // An empty list empties the one that a unit may have.
            let none = SystemdManager.Property("DeviceAllow", .array(of: "(ss)", []))
            let policy = SystemdManager.Property("DevicePolicy", .string("strict"))
            return allowed.isEmpty
                ? [none, policy]
                : [none, policy, SystemdManager.Property("DeviceAllow", .array(of: "(ss)", allowed))]
        }
        let open: [SystemdManager.Property] = [
            .init("DeviceAllow", .array(of: "(ss)", [])), .init("DevicePolicy", .string("auto")),
        ]
        if allowsByDefault, rules.allSatisfy(\.allow) { return open }
        guard !allowsByDefault, let list = try? DeviceExceptions(self) else {
            return isUnified ? open : strict([])
        }
        var allowed: [DBusValue] = []
        for (devices, access) in list.exceptions {
            guard let path = devices.unitPath else {
                // A minor number of every major one.
                if isUnified { return open }
                continue
            }
            allowed.append(.structure([.string(path), .string(access.text)]))
        }
        return strict(allowed)
    }
}

extension DeviceRules.Devices {
    /// As `DeviceAllow` names devices, since systemd 240 whether the nodes exist or not.
    fileprivate var unitPath: String? {
        let kind = kind == .block ? "block" : "char"
        switch (major, minor) {
        case (nil, nil): return "\(kind)-*"
        case (nil, _): return nil
        case (let major?, nil): return "\(kind)-\(major)"
        case (let major?, let minor?): return "/dev/\(kind)/\(major):\(minor)"
        }
    }
}
