import LinuxSystem

/// Whether the kernel killed a process of the container for want of memory.
/// The counter's file is opened while the container lives, so that it can be
/// read when nothing but its group is left.
struct OOMKills: ~Copyable {
    private let file: Descriptor

    /// nil when the container has no memory group of its own.
    init?(of pid: Int32) {
        guard let text = try? File.readText("/proc/\(pid)/cgroup"),
            let own = try? File.readText("/proc/self/cgroup")
        else { return nil }
        func path(_ text: String, _ matches: (Substring) -> Bool) -> Substring? {
            for line in text.split(separator: "\n") {
                let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
                if fields.count == 3, matches(fields[1]) { return fields[2] }
            }
            return nil
        }
        let isMemory = { (controllers: Substring) in controllers.split(separator: ",").contains("memory") }
        let candidates: [(path: Substring?, own: Substring?, root: String, name: String)] = [
            (path(text, isMemory), path(own, isMemory), "/sys/fs/cgroup/memory", "memory.oom_control"),
            (path(text, \.isEmpty), path(own, \.isEmpty), "/sys/fs/cgroup", "memory.events"),
        ]
        for candidate in candidates {
            guard let path = candidate.path, path != candidate.own, path != "/", !path.contains("/..") else {
                continue
            }
            if let file = try? File.open("\(candidate.root)\(path)/\(candidate.name)") {
                self.file = file
                return
            }
        }
        return nil
    }

    var happened: Bool {
        guard lseek(file.raw, 0, SEEK_SET) == 0, let bytes = try? FD.readAll(file.raw, limit: 4096) else {
            return false
        }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == "oom_kill" { return words[1] != "0" }
        }
        return false
    }
}
