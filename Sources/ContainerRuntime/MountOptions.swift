import LinuxSystem

/// The `options` of a mount, in the terms of the mount calls.
struct MountOptions: Equatable {
    var isBind = false
    /// `rbind`: with the mounts below the source.
    var isRecursive = false
    var isRemount = false
    /// Some option speaks of what `attributes` are about, were it only that one is off.
    var namesAttributes = false
    var attributes = Mount.Attributes()
    /// `rro` and its kin, for the mounts below too.
    var recursiveAttributes = Mount.Attributes()
    var propagation: [Propagation] = []
    var isCopyUp = false
    var mapsIDs = false
    var mapsIDsRecursively = false
    /// Options of the superblock without a value: `sync`, and what the file system knows.
    var flags: [String] = []
    /// Options of the file system with a value.
    var data: [(key: String, value: String)] = []

    struct Propagation: Equatable {
        var kind: UInt64
        var recursive: Bool
    }

    /// Options of the superblock that any file system may have.
    private static let generalFlags: Set<String> = ["sync", "dirsync", "lazytime", "mand", "iversion"]

    /// What only a file system of its own could make of the options.
    var ofFileSystem: [String] {
        data.map { "\($0.key)=\($0.value)" } + flags.filter { !Self.generalFlags.contains($0) }
    }

    var isReadOnly: Bool { attributes.added & UInt64(MOUNT_ATTR_RDONLY) != 0 }

    /// fsconfig(2) takes values of up to 255 bytes.
    var needsLongData: Bool { data.contains { $0.value.utf8.count > 255 } }

    static func == (left: MountOptions, right: MountOptions) -> Bool {
        left.isBind == right.isBind && left.isRecursive == right.isRecursive
            && left.isRemount == right.isRemount && left.namesAttributes == right.namesAttributes
            && left.attributes == right.attributes
            && left.recursiveAttributes == right.recursiveAttributes
            && left.propagation == right.propagation && left.isCopyUp == right.isCopyUp
            && left.mapsIDs == right.mapsIDs && left.flags == right.flags
            && left.data.elementsEqual(right.data, by: ==)
    }

    init() {}

    init(_ options: [String]) {
        for option in options { apply(option) }
    }

    private mutating func apply(_ option: String) {
        switch option {
        case "", "defaults", "rnorelatime", "rnostrictatime": break
        case "silent", "loud", "async", "nolazytime", "nomand", "noiversion", "norelatime", "nostrictatime":
            namesAttributes = true
        case "atime":
            namesAttributes = true
            attributes.forgetNoAccessTime()
        case "bind": isBind = true
        case "rbind":
            isBind = true
            isRecursive = true
        case "remount": isRemount = true
        case "tmpcopyup": isCopyUp = true
        case "idmap": mapsIDs = true
        case "ridmap":
            mapsIDs = true
            mapsIDsRecursively = true
        case "private", "rprivate": add(MS_PRIVATE, option)
        case "slave", "rslave": add(MS_SLAVE, option)
        case "shared", "rshared": add(MS_SHARED, option)
        case "unbindable", "runbindable": add(MS_UNBINDABLE, option)
        case _ where Self.generalFlags.contains(option):
            namesAttributes = true
            flags.append(option)
        default:
            if Self.change(&attributes, option) {
                namesAttributes = true
                return
            }
            if option.utf8.first == UInt8(ascii: "r"), Self.change(&recursiveAttributes, option.dropFirst()) {
                return
            }
            // What is no option of mounts in general is the file system's.
            if let equals = option.utf8.firstIndex(of: UInt8(ascii: "=")) {
                data.append((String(option[..<equals]), String(option[option.index(after: equals)...])))
            } else {
                flags.append(option)
            }
        }
    }

    private mutating func add(_ kind: Int, _ option: String) {
        let recursive = option.utf8.first == UInt8(ascii: "r")
        propagation.append(Propagation(kind: UInt64(kind), recursive: recursive))
    }

    private static func change(_ attributes: inout Mount.Attributes, _ option: some StringProtocol) -> Bool {
        switch option {
        case "ro": attributes.add(MOUNT_ATTR_RDONLY)
        case "rw": attributes.remove(MOUNT_ATTR_RDONLY)
        case "nosuid": attributes.add(MOUNT_ATTR_NOSUID)
        case "suid": attributes.remove(MOUNT_ATTR_NOSUID)
        case "nodev": attributes.add(MOUNT_ATTR_NODEV)
        case "dev": attributes.remove(MOUNT_ATTR_NODEV)
        case "noexec": attributes.add(MOUNT_ATTR_NOEXEC)
        case "exec": attributes.remove(MOUNT_ATTR_NOEXEC)
        case "nodiratime": attributes.add(MOUNT_ATTR_NODIRATIME)
        case "diratime": attributes.remove(MOUNT_ATTR_NODIRATIME)
        case "nosymfollow": attributes.add(MOUNT_ATTR_NOSYMFOLLOW)
        case "symfollow": attributes.remove(MOUNT_ATTR_NOSYMFOLLOW)
        case "relatime", "atime": attributes.setAccessTime(MOUNT_ATTR_RELATIME)
        case "noatime": attributes.setAccessTime(MOUNT_ATTR_NOATIME)
        case "strictatime": attributes.setAccessTime(MOUNT_ATTR_STRICTATIME)
        default: return false
        }
        return true
    }
}

extension Mount.Attributes {
    fileprivate mutating func add(_ bit: some FixedWidthInteger) {
        added |= UInt64(bit)
        cleared &= ~UInt64(bit)
    }

    fileprivate mutating func remove(_ bit: some FixedWidthInteger) {
        cleared |= UInt64(bit)
        added &= ~UInt64(bit)
    }

    /// `atime`: no wish but that it not be `noatime`.
    fileprivate mutating func forgetNoAccessTime() {
        guard added & UInt64(MOUNT_ATTR__ATIME) == UInt64(MOUNT_ATTR_NOATIME) else { return }
        added &= ~UInt64(MOUNT_ATTR__ATIME)
        cleared &= ~UInt64(MOUNT_ATTR__ATIME)
    }

    /// The access time is a field, not a bit: the kernel wants it cleared as a whole (mount_setattr(2)).
    fileprivate mutating func setAccessTime(_ value: some FixedWidthInteger) {
        added = added & ~UInt64(MOUNT_ATTR__ATIME) | UInt64(value)
        cleared |= UInt64(MOUNT_ATTR__ATIME)
    }
}
