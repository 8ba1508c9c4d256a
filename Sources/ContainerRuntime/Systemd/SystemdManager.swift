internal import LinuxSystem

/// systemd's service manager, by its D-Bus interface (org.freedesktop.systemd1(5)).
final class SystemdManager {
    struct Property: Equatable, Sendable {
        var name: String
        var value: DBusValue

        init(_ name: String, _ value: DBusValue) {
            self.name = name
            self.value = value
        }
    }

    private let connection: DBusConnection
    private var knownVersion: Int?

    private static let destination = "org.freedesktop.systemd1"
    private static let path = "/org/freedesktop/systemd1"
    private static let interface = "org.freedesktop.systemd1.Manager"

    /// - Parameter isUser: the caller's own, `systemd --user`.
    /// - Throws: when there is none.
    init(isUser: Bool) throws(CgroupError) {
        try Self.requireRunning()
        do throws(DBusError) {
            connection = try isUser ? SystemBus.user() : SystemBus.system()
        } catch {
            throw CgroupError(.system, "connect to systemd: \(error)")
        }
    }

    /// - Throws: when the system was not booted with systemd (sd_booted(3)).
    static func requireRunning() throws(CgroupError) {
        guard !File.exists("/run/systemd/system") else { return }
        throw CgroupError(.invalid, "systemd not running on this host, cannot use systemd cgroups manager")
    }

    init(_ connection: DBusConnection) { self.connection = connection }

    private func call(_ member: String, _ arguments: [DBusValue] = []) throws(DBusError) -> [DBusValue] {
        try connection.call(Self.destination, Self.path, Self.interface, member, arguments)
    }

    // MARK: - Properties

    private func property(_ name: String) throws(DBusError) -> String {
        let reply = try connection.call(
            Self.destination, Self.path, "org.freedesktop.DBus.Properties", "Get",
            [.string(Self.interface), .string(name)])
        guard case .variant(let value)? = reply.first, let text = value.text else { throw .malformed }
        return text
    }

    /// The group below which all of this manager's are.
    func controlGroup() throws(CgroupError) -> String {
        do throws(DBusError) {
            return try property("ControlGroup")
        } catch {
            throw CgroupError(.system, "ask systemd for its control group: \(error)")
        }
    }

    /// systemd's version, as in 252; 0 when it does not say.
    func version() -> Int {
        if let knownVersion { return knownVersion }
        let version = Self.version((try? property("Version")) ?? "")
        knownVersion = version
        return version
    }

    /// `252.39-1~deb12u2`, `v245.4-1.fc32`.
    static func version(_ text: String) -> Int {
        let digits = text.utf8.drop { $0 == UInt8(ascii: "v") || $0 == UInt8(ascii: "\"") }
            .prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return Int(String(Substring(digits))) ?? 0
    }

    // MARK: - Units

    /// Makes a transient unit and waits until it has started.
    func start(_ unit: String, _ properties: [Property]) throws(CgroupError) {
        do throws(DBusError) {
            let arguments: [DBusValue] = [
                .string(unit), .string("replace"), Self.list(properties), .array(of: "(sa(sv))", []),
            ]
            try watchJobs()
            let reply: [DBusValue]
            do throws(DBusError) {
                reply = try call("StartTransientUnit", arguments)
            } catch  where error.name.hasSuffix(".UnitExists") {
                // One that has failed stays until someone has taken note of it.
                resetFailed(unit)
                reply = try call("StartTransientUnit", arguments)
            }
            let result = try outcome(reply, "systemd to start \(unit)")
            if result == "done" { return }
            resetFailed(unit)
            throw DBusError(message: "its job ended with \"\(result)\"")
        } catch {
            throw CgroupError(
                error.name.hasSuffix(".UnitExists") ? .inUse : .system,
                "unable to start unit \"\(unit)\": \(error)")
        }
    }

    /// Changes properties of a unit until it ends.
    func set(_ unit: String, _ properties: [Property]) throws(CgroupError) {
        if properties.isEmpty { return }
        do throws(DBusError) {
            _ = try call("SetUnitProperties", [.string(unit), .boolean(true), Self.list(properties)])
        } catch {
            throw CgroupError(.system, "unable to set properties of unit \"\(unit)\": \(error)")
        }
    }

    /// Ends a unit, and returns when it is gone. One that is gone already is no error.
    func stop(_ unit: String) throws(CgroupError) {
        do throws(DBusError) {
            try watchJobs()
            do throws(DBusError) {
                _ = try outcome(
                    try call("StopUnit", [.string(unit), .string("replace")]), "systemd to stop \(unit)")
            } catch  where error.name.hasSuffix(".NoSuchUnit") {
                return
            }
            resetFailed(unit)
        } catch {
            throw CgroupError(.system, "unable to stop unit \"\(unit)\": \(error)")
        }
    }

    /// Moves a process into a unit's group. The manager has rights that an unprivileged caller has not.
    func attach(_ pid: Int32, to unit: String) throws(CgroupError) {
        do throws(DBusError) {
            _ = try call(
                "AttachProcessesToUnit",
                [.string(unit), .string("/"), .array(of: "u", [.uint32(UInt32(bitPattern: pid))])])
        } catch {
            throw CgroupError(.system, "unable to add process \(pid) to unit \"\(unit)\": \(error)")
        }
    }

    private func resetFailed(_ unit: String) {
        _ = try? call("ResetFailedUnit", [.string(unit)])
    }

    private static func list(_ properties: [Property]) -> DBusValue {
        .array(of: "(sv)", properties.map { .structure([.string($0.name), .variant($0.value)]) })
    }

    // MARK: - Jobs

    /// Before the call that makes a job, or its end could be missed.
    private func watchJobs() throws(DBusError) {
        // On its own socket the manager tells everybody everything.
        if connection.name.isEmpty { return }
        let rule =
            "type='signal',sender='\(Self.destination)',path='\(Self.path)',interface='\(Self.interface)',member='JobRemoved'"
        let bus = DBusConnection.busName
        try connection.post(bus, "/org/freedesktop/DBus", bus, "AddMatch", [.string(rule)])
        try connection.post(Self.destination, Self.path, Self.interface, "Subscribe")
    }

    /// How the job ended whose path is the answer: `done`, or `failed`, `canceled`, `timeout`, ….
    private func outcome(_ reply: [DBusValue], _ purpose: String) throws(DBusError) -> String {
        guard let job = reply.first?.text else { throw .malformed }
        let signal = try connection.signal("JobRemoved", for: purpose) { $0.count == 4 && $0[1].text == job }
        return signal[3].text ?? ""
    }
}
