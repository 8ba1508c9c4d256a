import LinuxSystem

/// The user that a container's process runs as, looked up in the image.
public struct ContainerUser: Equatable, Sendable {
    public var uid: UInt32 = 0
    public var gid: UInt32 = 0
    public var additionalGids: [UInt32] = []
    public var home = "/"
    public var name: String?

    /// Resolves `USER[:GROUP]` (names or numbers) by the image's /etc/passwd
    /// and /etc/group, as Docker does: a number is the ID, with an entry or without; a name needs one.
    /// - Parameter root: the root file system; the files are opened beneath it.
    public static func resolve(
        _ text: String, groups extra: [String] = [], root: Int32
    ) throws(EngineError) -> ContainerUser {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(
            String.init)
        let userText = parts[0]
        let groupText = parts.count > 1 ? parts[1] : ""
        let passwd = entries("etc/passwd", root: root)
        var user = ContainerUser()
        let wanted = try number(userText)
        let entry = passwd.first { fields in
            guard fields.count >= 4 else { return false }
            if let wanted { return UInt32(fields[2]) == wanted }
            return userText.isEmpty ? fields[2] == "0" : fields[0] == userText
        }
        if let entry, let uid = try number(entry[2]), let gid = try number(entry[3]) {
            user.uid = uid
            user.gid = gid
            user.name = entry[0]
            if entry.count > 5, entry[5].hasPrefix("/") { user.home = entry[5] }
        } else if let wanted {
            user.uid = wanted
        } else if !userText.isEmpty {
            throw EngineError(
                .invalid, "unable to find user \(userText): no matching entries in the image's passwd file")
        }
        let groups = entries("etc/group", root: root)
        func gid(of name: String) throws(EngineError) -> UInt32 {
            if let number = try number(name) { return number }
            if let entry = groups.first(where: { $0.count >= 3 && $0[0] == name }),
                let gid = try number(entry[2])
            {
                return gid
            }
            throw EngineError(
                .invalid, "unable to find group \(name): no matching entries in the image's group file")
        }
        if groupText.isEmpty {
            if let name = user.name {
                for fields in groups where fields.count >= 4 {
                    guard fields[3].split(separator: ",").contains(where: { $0 == name }) else { continue }
                    if let gid = try? number(fields[2]), gid != user.gid { user.additionalGids.append(gid) }
                }
            }
        } else {
            user.gid = try gid(of: groupText)
        }
        for name in extra {
            let gid = try gid(of: name)
            if !user.additionalGids.contains(gid) { user.additionalGids.append(gid) }
        }
        return user
    }

    /// An ID, which has digits alone; the kernel takes the highest for none, and Docker the upper half.
    /// - Returns: nil for a name.
    private static func number(_ text: String) throws(EngineError) -> UInt32? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        guard let id = Int32(text) else {
            throw EngineError(.invalid, "\(text) is no user or group ID: they go from 0 to 2147483647")
        }
        return UInt32(id)
    }

    /// The IDs of all users and groups of an image but nobody, whose are no files.
    static func allIDs(root: Int32) -> [UInt32] {
        func ids(_ path: String, _ fields: ClosedRange<Int>) -> [UInt32] {
            entries(path, root: root).filter { $0.count > fields.upperBound && !nobody.contains($0[0]) }
                .flatMap { line in fields.compactMap { UInt32(line[$0]) } }
        }
        return (ids("etc/passwd", 2...3) + ids("etc/group", 2...2)).filter { $0 != 65534 }
    }

    private static let nobody: Set<String> = ["nobody", "nogroup"]

    /// The colon-separated lines of a small file in the image; none when it is
    /// missing, unreadable, no regular file or larger than 4 MiB.
    private static func entries(_ path: String, root: Int32) -> [[String]] {
        guard
            let file = try? File.open(inRoot: path, at: root, O_RDONLY | O_NONBLOCK),
            let status = try? FD.stat(file.raw), status.st_mode & S_IFMT == S_IFREG,
            let bytes = try? FD.readAll(file.raw, limit: 4 << 20)
        else { return [] }
        return bytes.split(separator: 0x0A).compactMap { line in
            if line.first == UInt8(ascii: "#") { return nil }
            return line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
                .map { String(decoding: $0, as: UTF8.self) }
        }
    }
}
