internal import LinuxSystem

/// Where systemd's managers are found.
enum SystemBus {
    static func system() throws(DBusError) -> DBusConnection {
        let address = environment("DBUS_SYSTEM_BUS_ADDRESS") ?? "unix:path=/run/dbus/system_bus_socket"
        do throws(DBusError) {
            return try connect(address)
        } catch {
            // A bus may be missing, early in the boot above all; root needs none.
            guard geteuid() == 0,
                let direct = try? DBusConnection(path: "/run/systemd/private", isBus: false)
            else { throw error }
            return direct
        }
    }

    static func user() throws(DBusError) -> DBusConnection {
        do throws(DBusError) {
            return try userBus()
        } catch {
            // A login without a bus (on Debian that is dbus-user-session) has its manager all the same.
            guard let directory = environment("XDG_RUNTIME_DIR"),
                let direct = try? DBusConnection(path: "\(directory)/systemd/private", isBus: false)
            else { throw error }
            return direct
        }
    }

    private static func userBus() throws(DBusError) -> DBusConnection {
        guard let address = userAddress else {
            throw DBusError(
                message:
                    "no bus of the user's: neither DBUS_SESSION_BUS_ADDRESS nor $XDG_RUNTIME_DIR/bus is there (is the package dbus-user-session installed, and is this a login of the user?)"
            )
        }
        return try connect(address)
    }

    /// Whether root's bus here is that of an unprivileged user outside of this user namespace.
    static var isOwnedByAnother: Bool {
        guard isInUserNamespace, let bus = try? userBus() else { return false }
        let name = DBusConnection.busName
        let reply = try? bus.call(
            name, "/org/freedesktop/DBus", name, "GetConnectionUnixUser", [.string(bus.name)])
        if case .uint32(let owner)? = reply?.first { return owner != 0 }
        return false
    }

    /// The first one's map covers all there is (user_namespaces(7)).
    private static var isInUserNamespace: Bool {
        guard let map = try? File.readText("/proc/self/uid_map") else { return false }
        return map.split(whereSeparator: \.isWhitespace) != ["0", "0", "4294967295"]
    }

    private static var userAddress: String? {
        if let address = environment("DBUS_SESSION_BUS_ADDRESS") { return address }
        guard let directory = environment("XDG_RUNTIME_DIR"), File.exists("\(directory)/bus") else {
            return nil
        }
        return "unix:path=" + escape("\(directory)/bus")
    }

    private static func environment(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    /// The first of an address's alternatives that works.
    private static func connect(_ address: String) throws(DBusError) -> DBusConnection {
        var failure = DBusError(message: "unsupported D-Bus address \"\(address)\"")
        for path in paths(address) {
            do throws(DBusError) {
                return try DBusConnection(path: path, isBus: true)
            } catch {
                failure = error
            }
        }
        throw failure
    }

    /// The sockets in an address: `unix:path=/run/user/1000/bus,guid=…;…` (D-Bus Specification,
    /// "Server Addresses").
    static func paths(_ address: String) -> [String] {
        var paths: [String] = []
        for alternative in address.split(separator: ";") where alternative.hasPrefix("unix:") {
            for pair in alternative.dropFirst(5).split(separator: ",") where pair.hasPrefix("path=") {
                if let path = unescape(pair.dropFirst(5)) { paths.append(path) }
            }
        }
        return paths
    }

    private static func escape(_ path: String) -> String {
        var text = ""
        for byte in path.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."),
                UInt8(ascii: "-"), UInt8(ascii: "_"):
                text.unicodeScalars.append(Unicode.Scalar(byte))
            default: text += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return text
    }

    private static func unescape(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(Substring(rest.prefix(2))), radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
