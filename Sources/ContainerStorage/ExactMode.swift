import LinuxSystem

extension File {
    /// mkdir(2) with this mode whatever the umask says.
    static func makeDirectory(_ path: String, at directory: Int32, exactly mode: mode_t) throws(SystemError) {
        try makeDirectory(path, at: directory, mode: mode)
        _ = try retrying("chmod", path) { fchmodat(directory, path, mode, 0) }
    }
}
