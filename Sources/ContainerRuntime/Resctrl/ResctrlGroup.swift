import JSONText
import LinuxSystem
import OCISpec

/// A container's place in the resource control file system: a class of service (a CTRL_MON
/// group), its own or one that others share, and perhaps a monitoring group of its own in that.
struct ResctrlGroup: JSONDocument, Equatable {
    /// The file system's mount.
    private(set) var root: String
    /// The class's directory.
    private(set) var path: String
    /// The monitoring group's directory.
    private(set) var monitoring: String?
    /// Made for this container, and removed with it.
    private(set) var isOwn: Bool

    private var mount: ResctrlMount { ResctrlMount(path: root) }

    /// Looks at what is asked for, before anything is made.
    /// - Throws: `.unsupported` for what the machine lacks, `.invalidConfig`.
    init(_ config: IntelRdt, id: String, mount: ResctrlMount?) throws(RuntimeError) {
        guard let mount else {
            throw RuntimeError(
                .unsupported,
                "intelRdt is specified in config, but no resctrl file system is mounted (Intel RDT is not enabled)"
            )
        }
        let name = config.closID ?? id
        guard name == "/" || !name.utf8.contains(UInt8(ascii: "/")) && name != "." && name != ".." else {
            throw RuntimeError(.invalidConfig, "invalid intelRdt.closID \"\(name)\"")
        }
        root = mount.path
        path = name == "/" ? mount.path : "\(mount.path)/\(name)"
        let exists = File.exists(path)
        isOwn = config.closID == nil && !exists
        if config.enableMonitoring { monitoring = "\(path)/mon_groups/\(id)" }
        try check(config)
        if config.closID != nil, exists {
            try refuseOther(config)
        } else if config.closID != nil, config.lines.isEmpty {
            throw RuntimeError(
                .invalidConfig,
                "intelRdt.closID \"\(name)\" does not exist, and no schemata are given to make it with")
        }
    }

    /// Whether the machine and the specification allow the schemata.
    func check(_ config: IntelRdt) throws(RuntimeError) {
        if config.l3CacheSchema != nil, !mount.sharesCache {
            throw RuntimeError(
                .unsupported,
                "intelRdt.l3CacheSchema is specified in config, but Intel RDT/CAT is not enabled")
        }
        if let schema = config.memBwSchema {
            guard mount.sharesBandwidth else {
                throw RuntimeError(
                    .unsupported,
                    "intelRdt.memBwSchema is specified in config, but Intel RDT/MBA is not enabled")
            }
            guard schema.utf8.starts(with: "MB:".utf8) else {
                throw RuntimeError(
                    .invalidConfig, "intelRdt.memBwSchema \"\(schema)\" does not start with MB:")
            }
        }
        for line in config.lines where line.utf8.contains(UInt8(ascii: "\n")) {
            throw RuntimeError(.invalidConfig, "intelRdt: a line of the schemata holds a line feed")
        }
    }

    /// A class that is there has other users: its cache and bandwidth stay what they are.
    private func refuseOther(_ config: IntelRdt) throws(RuntimeError) {
        let wanted = [config.l3CacheSchema, config.memBwSchema].compactMap { $0 }
        guard !wanted.isEmpty else { return }
        let text = try mount.during("read the schemata of \(path)") { () throws(SystemError) in
            try File.readText("\(path)/schemata")
        }
        let present = text.split(separator: "\n").map { ResctrlSchema(String($0)) }
        for line in wanted where !present.contains(where: { $0.covers(ResctrlSchema(line)) }) {
            throw RuntimeError(
                .invalidConfig,
                "intelRdt: \(path) exists, and its schemata differ from \"\(line)\"")
        }
    }

    // MARK: - Life

    /// Makes what there is not, and writes its schemata.
    func make(_ config: IntelRdt) throws(RuntimeError) {
        for directory in [path, monitoring].compactMap({ $0 }) {
            try mount.during("make \(directory)") { () throws(SystemError) in
                do throws(SystemError) {
                    try File.makeDirectory(directory)
                } catch  where error.errno == .exists {}
            }
        }
        try set(config)
    }

    /// Writes those schemata that the config names.
    func set(_ config: IntelRdt) throws(RuntimeError) {
        guard !config.lines.isEmpty else { return }
        let text = config.lines.map { $0 + "\n" }.joined()
        try mount.during("write \"\(config.lines.joined(separator: " "))\"") { () throws(SystemError) in
            try File.write(text, to: "\(path)/schemata")
        }
    }

    /// Puts a process in; the children that it will have follow.
    func add(_ pid: pid_t) throws(RuntimeError) {
        for directory in [path, monitoring].compactMap({ $0 }) {
            try mount.during("add process \(pid) to \(directory)") { () throws(SystemError) in
                try File.write(String(pid), to: "\(directory)/tasks")
            }
        }
    }

    var exists: Bool { File.exists("\(path)/tasks") }

    /// Removes what is the container's own. A class takes its monitoring groups along.
    func remove() throws(RuntimeError) {
        guard let directory = isOwn ? path : monitoring else { return }
        try mount.during("remove \(directory)") { () throws(SystemError) in
            do throws(SystemError) {
                try File.removeDirectory(directory)
            } catch  where error.errno == .noEntry {}
        }
    }

    // MARK: - JSON

    init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        root = try reader.required("root")
        path = try reader.required("path")
        monitoring = try reader.optional("monitoring")
        isOwn = try reader.optional("isOwn") ?? false
    }

    var json: JSON {
        var object = JSONObject()
        object.set("root", root)
        object.set("path", path)
        object.set("monitoring", monitoring)
        object.set("isOwn", isOwn)
        return .object(object)
    }
}

extension IntelRdt {
    /// In the order in which the specification has them written.
    fileprivate var lines: [String] {
        ([l3CacheSchema, memBwSchema].compactMap { $0 } + schemata).filter { !$0.isEmpty }
    }
}

/// One line of a `schemata` file: a resource, and what of it each domain has
/// (`L3:0=7f0;1=1f`).
struct ResctrlSchema: Equatable {
    let resource: String
    let shares: [String: String]

    init(_ line: String) {
        func trimmed(_ text: Substring) -> String {
            text.split(separator: " ").joined(separator: " ")
        }
        let halves = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        resource = trimmed(halves[0])
        var shares: [String: String] = [:]
        for share in halves.count > 1 ? halves[1].split(separator: ";") : [] {
            let parts = share.split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else { continue }
            // The kernel prints masks with leading zeros, or without.
            let value = trimmed(parts[1]).lowercased().drop { $0 == "0" }
            shares[trimmed(parts[0])] = String(value)
        }
        self.shares = shares
    }

    /// Whether all that the other says holds here.
    func covers(_ other: ResctrlSchema) -> Bool {
        resource == other.resource && other.shares.allSatisfy { shares[$0.key] == $0.value }
    }
}
