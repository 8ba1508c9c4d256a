import LinuxSystem

/// Directories that a container needs in its root file system before it starts.
enum RootfsDirectories {
    /// mkdir -p beneath a root: symbolic links resolve within it (openat2(2),
    /// RESOLVE_IN_ROOT), so that no image leads us out.
    /// - Parameter root: the open root directory.
    static func make(_ path: String, root: Int32, uid: UInt32, gid: UInt32) throws(EngineError) {
        do throws(SystemError) {
            var made = ""
            for part in path.split(separator: "/") {
                let parent = made.isEmpty ? "/" : made
                made += "/\(part)"
                do throws(SystemError) {
                    _ = try File.open(inRoot: made, at: root, O_PATH | O_DIRECTORY)
                } catch  where error.errno == .noEntry {
                    let directory = try File.open(inRoot: parent, at: root, O_RDONLY | O_DIRECTORY)
                    do throws(SystemError) {
                        try File.makeDirectory(String(part), at: directory.raw)
                        let child = try File.open(
                            String(part), at: directory.raw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                        let raw = child.raw
                        if uid != 0 || gid != 0 { _ = try retrying("chown", made) { fchown(raw, uid, gid) } }
                    } catch  where error.errno == .exists {}
                }
            }
        } catch {
            throw EngineError(.failed, "working directory \(path) in the container: \(error.errno)")
        }
    }
}
