import LinuxSystem

/// What is on the disk in EROFS, the kernel's read-only file system
/// (fs/erofs/erofs_fs.h): little-endian throughout, in blocks of 4096 bytes.
enum ErofsFormat {
    static let blockSize = 4096
    static let superblockOffset = 1024
    static let superblockSize = 128
    static let inodeSize = 64
    /// Inodes are numbered by where they are, in units of this.
    static let slotSize = 32

    static func superblock(rootNumber: UInt16, inodes: UInt64, blocks: UInt32) -> [UInt8] {
        var bytes = LittleEndianBytes()
        bytes.append(UInt32(0xE0F5_E1E2))
        bytes.append(UInt32(0))
        bytes.append(UInt32(0))
        bytes.append(UInt8(12))
        bytes.append(UInt8(0))
        bytes.append(rootNumber)
        bytes.append(inodes)
        bytes.append(UInt64(0))
        bytes.append(UInt32(0))
        bytes.append(blocks)
        // Metadata and attributes are counted from the image's start; no UUID, no name.
        bytes.append(zeros: 8 + 16 + 16)
        // EROFS_FEATURE_INCOMPAT_CHUNKED_FILE
        bytes.append(UInt32(4))
        bytes.append(zeros: superblockSize - bytes.bytes.count)
        return bytes.bytes
    }

    /// How an inode's contents are found.
    enum Contents {
        /// In whole blocks from this one on.
        case blocks(UInt32)
        /// Right behind the attributes.
        case inline
        /// One hole: the contents are elsewhere.
        case hole
        case device(dev_t)

        fileprivate var layout: UInt16 {
            switch self {
            case .blocks, .device: 0
            case .inline: 2
            case .hole: 4
            }
        }

        fileprivate var number: UInt32 {
            switch self {
            case .blocks(let first): first
            case .inline: 0
            // Chunks of 2^43 bytes, so that one is nearly always enough.
            case .hole: 31
            case .device(let device): UInt32(truncatingIfNeeded: device)
            }
        }
    }

    /// An extended inode and its attributes; with `.hole` the chunks too.
    static func inode(
        _ status: stat, size: Int, links: UInt32, number: UInt64, contents: Contents, attributes: [UInt8]
    ) -> [UInt8] {
        var bytes = LittleEndianBytes()
        bytes.append(UInt16(1) | contents.layout << 1)
        // The header of 12 bytes counts as one unit of 4.
        bytes.append(attributes.isEmpty ? 0 : UInt16((attributes.count - 12) / 4 + 1))
        bytes.append(UInt16(truncatingIfNeeded: status.st_mode))
        bytes.append(UInt16(0))
        bytes.append(UInt64(size))
        bytes.append(contents.number)
        bytes.append(UInt32(truncatingIfNeeded: number))
        bytes.append(UInt32(status.st_uid))
        bytes.append(UInt32(status.st_gid))
        bytes.append(UInt64(bitPattern: Int64(status.st_mtim.tv_sec)))
        bytes.append(UInt32(status.st_mtim.tv_nsec))
        bytes.append(links)
        bytes.append(zeros: 16)
        bytes.bytes += attributes
        if case .hole = contents {
            for _ in 0..<holeChunks(size) { bytes.append(UInt32.max) }
        }
        return bytes.bytes
    }

    static func holeChunks(_ size: Int) -> Int { (size + (1 << 43) - 1) >> 43 }

    private static let attributePrefixes: [(name: [UInt8], number: UInt8)] = [
        (Array("user.".utf8), 1), (Array("system.posix_acl_access".utf8), 2),
        (Array("system.posix_acl_default".utf8), 3), (Array("trusted.".utf8), 4),
        (Array("security.".utf8), 6),
    ]

    /// An inode's attributes with their header; empty when there are none.
    /// Those of a name space that EROFS does not know are left out.
    /// - Throws: E2BIG for more than an inode can have.
    static func attributes(_ attributes: [ExtendedAttributes.Attribute]) throws(SystemError) -> [UInt8] {
        var bytes = LittleEndianBytes()
        for attribute in attributes {
            guard let prefix = attributePrefixes.first(where: { attribute.name.starts(with: $0.name) }) else {
                continue
            }
            let name = attribute.name.dropFirst(prefix.name.count)
            guard name.count <= 255, attribute.value.count <= 65535 else {
                throw SystemError("keep attribute", attribute.text, Errno(E2BIG))
            }
            bytes.append(UInt8(name.count))
            bytes.append(prefix.number)
            bytes.append(UInt16(attribute.value.count))
            bytes.bytes += name
            bytes.bytes += attribute.value
            bytes.append(zeros: -bytes.bytes.count & 3)
        }
        if bytes.bytes.isEmpty { return [] }
        guard bytes.bytes.count <= 65534 * 4 else {
            throw SystemError("keep attributes", "", Errno(E2BIG))
        }
        return [UInt8](repeating: 0, count: 12) + bytes.bytes
    }
}

/// A directory's entries, `.` and `..` among them, in the order of their bytes.
struct ErofsDirectory {
    struct Entry {
        var name: [UInt8]
        /// EROFS_FT_…: as `FT_…` of linux/fs_types.h.
        var type: UInt8
    }

    let entries: [Entry]
    /// Which entries each block has.
    private let blocks: [Range<Int>]
    /// In bytes; the last block is as long as what is in it.
    let size: Int

    init(_ children: [Entry]) {
        entries = (children + [Entry(name: [0x2E], type: 2), Entry(name: [0x2E, 0x2E], type: 2)])
            .sorted { $0.name.lexicographicallyPrecedes($1.name) }
        var blocks: [Range<Int>] = []
        var (start, used) = (0, 0)
        for (index, entry) in entries.enumerated() {
            let need = 12 + entry.name.count
            if used + need > ErofsFormat.blockSize {
                blocks.append(start..<index)
                (start, used) = (index, 0)
            }
            used += need
        }
        blocks.append(start..<entries.count)
        self.blocks = blocks
        size = (blocks.count - 1) * ErofsFormat.blockSize + used
    }

    static func type(ofMode mode: mode_t) -> UInt8 {
        switch mode & S_IFMT {
        case S_IFREG: 1
        case S_IFDIR: 2
        case S_IFCHR: 3
        case S_IFBLK: 4
        case S_IFIFO: 5
        case S_IFSOCK: 6
        default: 7
        }
    }

    /// - Parameter numbers: the inodes of the entries, in their order.
    func bytes(_ numbers: [UInt64]) -> [UInt8] {
        var result = LittleEndianBytes()
        for (index, block) in blocks.enumerated() {
            let start = result.bytes.count
            var nameOffset = block.count * 12
            for entry in block {
                result.append(numbers[entry])
                result.append(UInt16(nameOffset))
                result.append(entries[entry].type)
                result.append(UInt8(0))
                nameOffset += entries[entry].name.count
            }
            for entry in block { result.bytes += entries[entry].name }
            if index < blocks.count - 1 {
                result.append(zeros: start + ErofsFormat.blockSize - result.bytes.count)
            }
        }
        return result.bytes
    }
}

struct LittleEndianBytes {
    var bytes: [UInt8] = []

    mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func append(zeros count: Int) { bytes.append(contentsOf: repeatElement(0, count: count)) }
}
