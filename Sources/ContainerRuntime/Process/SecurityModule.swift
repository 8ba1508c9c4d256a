import LinuxSystem

/// Which of the kernel's security modules can label this machine's processes.
enum SecurityModule {
    private static let selinuxMagic = 0xf97c_ff8c

    static var hasSELinux: Bool {
        guard let directory = try? File.open("/sys/fs/selinux", O_PATH | O_DIRECTORY) else { return false }
        return (try? Mount.fileSystemType(of: directory.raw)) == selinuxMagic
    }

    static var hasAppArmor: Bool {
        (try? File.readText("/sys/module/apparmor/parameters/enabled"))?.utf8.first == UInt8(ascii: "Y")
    }
}
