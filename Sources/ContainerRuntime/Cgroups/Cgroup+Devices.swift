internal import OCISpec

extension Cgroup {
    func setDevices(_ specified: [LinuxResources.DeviceRule], creating: Bool) throws(CgroupError) {
        let rules = try DeviceRules(specified)
        if let group = legacy("devices") { return try DeviceExceptions(rules).apply(to: group) }
        if let unified {
            if creating, unified.isNew, rules.allowsByDefault, rules.rules.allSatisfy(\.allow) { return }
            return try rules.attach(to: unified)
        }
        // Everything would be allowed: that may only be what was asked for.
        guard rules.allowsByDefault else {
            throw CgroupError(
                .controllerMissing, "cannot set device rules: the cgroup controller devices is not mounted")
        }
    }
}
