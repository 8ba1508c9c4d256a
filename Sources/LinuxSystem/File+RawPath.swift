/// Paths as C strings, for names that need not be UTF-8.
extension File {
    /// As `open(inRoot:at:)`.
    public static func openRaw(
        _ path: [CChar], inRoot directory: Int32, _ flags: Int32, mode: mode_t = 0
    ) throws(SystemError) -> Descriptor {
        try openRaw(path, directory, flags, mode, UInt64(RESOLVE_IN_ROOT) | UInt64(RESOLVE_NO_MAGICLINKS))
    }

    /// As `open(beneath:at:followLinks: false)`.
    public static func openRaw(
        _ path: [CChar], beneath directory: Int32, _ flags: Int32, mode: mode_t = 0
    ) throws(SystemError) -> Descriptor {
        try openRaw(
            path, directory, flags, mode,
            UInt64(RESOLVE_BENEATH) | UInt64(RESOLVE_NO_MAGICLINKS) | UInt64(RESOLVE_NO_SYMLINKS))
    }

    private static func openRaw(
        _ path: [CChar], _ directory: Int32, _ flags: Int32, _ mode: mode_t, _ resolve: UInt64
    ) throws(SystemError) -> Descriptor {
        var how = open_how()
        how.flags = UInt64(UInt32(bitPattern: flags | O_CLOEXEC))
        how.mode = flags & O_CREAT != 0 ? UInt64(mode) : 0
        how.resolve = resolve
        while true {
            let result = path.withUnsafeBufferPointer { name in
                withUnsafeMutablePointer(to: &how) { how in
                    linux_syscall(
                        Int(SYS_openat2), Int(directory), Int(bitPattern: name.baseAddress),
                        Int(bitPattern: how), MemoryLayout<open_how>.size, 0, 0)
                }
            }
            if result >= 0 { return Descriptor(owning: Int32(result)) }
            var errno = Errno(Int32(-result))
            if errno == .noSystemCall {
                do throws(Errno) {
                    return try PathWalk.open(path, at: directory, flags, mode, resolve)
                } catch {
                    errno = error
                }
            }
            // EAGAIN: a rename or mount raced with the look-up of a `..` (openat2(2)).
            if errno != .interrupted, errno != .again {
                let text = String(decoding: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
                throw SystemError("open", text, errno)
            }
        }
    }
}
