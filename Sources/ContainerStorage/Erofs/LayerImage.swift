import LayerArchive
import LinuxSystem

/// A layer as an EROFS image that holds everything but files' contents. A
/// file's contents are an object that all layers share, and the image has for
/// it the attribute by which overlay finds it in a data-only lower layer
/// (Documentation/filesystems/overlayfs.rst, "Data-only lower layers").
///
/// In a layer's directory are `image`, its digest in `image.sha256`, and
/// `objects`, the digests of what it needs.
///
/// Overlay follows such an attribute from the lowest layer that is not
/// data-only and from no other, so images of several layers are united into
/// one: the files of the topmost, without what it hides.
struct LayerImage {
    static let name = "image"

    /// A tree to make an image of: an unpacked layer, or a mounted layer's image.
    final class Source {
        let root: HeldDescriptor
        /// Directories that the layer's archive has no entry for (`LayerApplier.Outcome`).
        let implied: Set<[UInt8]>

        init(_ root: consuming Descriptor, implied: Set<[UInt8]> = []) {
            self.root = HeldDescriptor(root)
            self.implied = implied
        }
    }

    /// The layers, the topmost first.
    private let sources: [Source]
    /// Where contents go; nil when the sources are images, and all is there.
    private let objects: FileObjects?
    private var needed: Set<Digest> = []
    private var levels: [Level] = []
    /// Files with several names: their inodes, and how many names they have here.
    private var linked: [LinkedFile: (number: UInt64, names: UInt32)] = [:]

    private struct LinkedFile: Hashable {
        var source: Int
        var inode: ino_t
    }

    private init(_ sources: [Source], _ objects: FileObjects?) {
        self.sources = sources
        self.objects = objects
    }

    /// Makes the image of the layer unpacked in `diff`, and moves the files' contents away from there.
    /// - Parameter partial: the layer's directory to be.
    static func make(of diff: String, in partial: Int32, objects: FileObjects) throws(SystemError) {
        let source = Source(try File.open(diff, at: partial, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
        let needed = try make(of: [source], in: partial, objects: objects)
        try File.replace("objects", at: partial, with: FileObjects.list(needed), durable: false)
    }

    /// - Parameter sources: the topmost first.
    /// - Returns: the objects that were needed.
    @discardableResult
    static func make(of sources: [Source], in partial: Int32, objects: FileObjects? = nil) throws(SystemError)
        -> Set<Digest>
    {
        let file = try File.open(name, at: partial, O_RDWR | O_CREAT | O_EXCL)
        var writer = ErofsWriter(file.raw)
        var image = LayerImage(sources, objects)
        let root = try image.walk(&writer)
        for file in image.linked.values {
            // The names that layers above hide do not count.
            var names = LittleEndianBytes()
            names.append(file.names)
            try writer.fill(Int(file.number) * ErofsFormat.slotSize + 44, names.bytes)
        }
        try writer.finish(root: root)
        let digest = try FileObjects.digest(file.raw, try FD.stat(file.raw))
        try File.replace(name + ".sha256", at: partial, with: Array("\(digest)".utf8), durable: false)
        return image.needed
    }

    // MARK: Directories

    /// A directory of one source that others may be above or below.
    private struct Part {
        var source: Int
        var directory: HeldDescriptor
    }

    private final class Level {
        /// Below the root, without a final slash.
        let path: [UInt8]
        let status: stat
        let attributes: [UInt8]
        let directory: ErofsDirectory
        /// Which source has each entry's file; nil for directories, `.` and `..`.
        let sources: [Int?]
        let number: UInt64
        /// Nil when the entries follow the inode.
        let blocks: UInt32?
        /// The topmost first; empty when they were closed for now.
        var parts: [Part]
        let partSources: [Int]
        var numbers: [UInt64] = []
        var links: UInt32 = 2

        init(
            _ path: [UInt8], _ status: stat, _ attributes: [UInt8], _ children: [Child], _ parts: [Part],
            _ writer: inout ErofsWriter
        ) throws(SystemError) {
            self.path = path
            self.status = status
            self.attributes = attributes
            self.parts = parts
            partSources = parts.map(\.source)
            directory = ErofsDirectory(children.map(\.entry))
            let bySource = Dictionary(
                children.map { ($0.entry.name, $0.source) }, uniquingKeysWith: { first, _ in first })
            sources = directory.entries.map { $0.type == 2 ? nil : bySource[$0.name] }
            let head = ErofsFormat.inodeSize + attributes.count
            let isInline = head + directory.size <= ErofsFormat.blockSize
            number = try writer.takeInode(head + (isInline ? directory.size : 0))
            blocks = isInline ? nil : try writer.takeBlocks(directory.size)
        }
    }

    private struct Child {
        var entry: ErofsDirectory.Entry
        var source: Int
    }

    /// Levels whose directories stay open; the others are opened again on the way up.
    private static let maximumOpen = 16

    /// Depth first.
    private mutating func walk(_ writer: inout ErofsWriter) throws(SystemError) -> UInt64 {
        try enter([], sources.indices.map { Part(source: $0, directory: sources[$0].root) }, &writer)
        while true {
            let level = levels[levels.count - 1]
            guard level.numbers.count < level.directory.entries.count else {
                let number = try leave(&writer)
                guard let parent = levels.last else { return number }
                parent.numbers.append(number)
                parent.links += 1
                continue
            }
            let entry = level.directory.entries[level.numbers.count]
            let name = entry.name.map { CChar(bitPattern: $0) } + [0]
            if let source = level.sources[level.numbers.count] {
                let parts = try parts(of: level)
                let directory = parts.first { $0.source == source }!.directory
                let number = try withExtendedLifetime(directory) { () throws(SystemError) in
                    try file(name, in: directory.raw, of: source, &writer)
                }
                level.numbers.append(number)
            } else if entry.name == [0x2E] {
                level.numbers.append(level.number)
            } else if entry.name == [0x2E, 0x2E] {
                level.numbers.append(levels.count > 1 ? levels[levels.count - 2].number : level.number)
            } else {
                let path = level.path.isEmpty ? entry.name : level.path + [0x2F] + entry.name
                try enter(path, try below(name, try parts(of: level)), &writer)
                if levels.count > Self.maximumOpen { levels[levels.count - 1 - Self.maximumOpen].parts = [] }
            }
        }
    }

    private func parts(of level: Level) throws(SystemError) -> [Part] {
        if level.parts.isEmpty {
            let path = (level.path.isEmpty ? [0x2E] : level.path).map { CChar(bitPattern: $0) } + [0]
            level.parts = try level.partSources.map { source throws(SystemError) in
                Part(
                    source: source,
                    directory: HeldDescriptor(
                        try File.openRaw(path, beneath: sources[source].root.raw, O_RDONLY | O_DIRECTORY)))
            }
        }
        return level.parts
    }

    /// The directories of a name, down to where something else hides what is below.
    private func below(_ name: [CChar], _ parts: [Part]) throws(SystemError) -> [Part] {
        var result: [Part] = []
        for part in parts {
            do throws(SystemError) {
                let directory = HeldDescriptor(
                    try Self.open(name, part.directory.raw, O_RDONLY | O_DIRECTORY))
                result.append(Part(source: part.source, directory: directory))
            } catch  where error.errno == .noEntry {
                continue
            } catch  where (error.errno == .notDirectory || error.errno == .loop) && !result.isEmpty {
                break
            }
        }
        return result
    }

    /// - Parameter parts: all directories of that path that no file or whiteout hides.
    private mutating func enter(_ path: [UInt8], _ parts: [Part], _ writer: inout ErofsWriter)
        throws(SystemError)
    {
        // What is in an opaque directory is new; the directory itself need not be.
        let teller = parts.first { !sources[$0.source].implied.contains(path) } ?? parts[0]
        var seen: Set<[UInt8]> = []
        var children: [Child] = []
        var contributing: [Part] = []
        for part in parts {
            contributing.append(part)
            for entry in try DirectoryListing(part.directory.raw).entries
            where seen.insert(entry.bytes).inserted {
                guard let type = try type(entry, part.directory.raw) else { continue }
                children.append(
                    Child(entry: ErofsDirectory.Entry(name: entry.bytes, type: type), source: part.source))
            }
            if try ExtendedAttributes.value(part.directory.raw, Self.opaque) == [UInt8(ascii: "y")] { break }
        }
        let isLayer = objects != nil
        let attributes = try Self.attributes(teller.directory.raw).filter {
            isLayer || $0.name != Self.opaque
        }
        levels.append(
            try Level(
                path, try FD.stat(teller.directory.raw), ErofsFormat.attributes(attributes), children,
                contributing, &writer))
    }

    private static let opaque = Array("trusted.overlay.opaque".utf8)

    private mutating func leave(_ writer: inout ErofsWriter) throws(SystemError) -> UInt64 {
        let level = levels.removeLast()
        let inode = ErofsFormat.inode(
            level.status, size: level.directory.size, links: level.links, number: level.number,
            contents: level.blocks.map { .blocks($0) } ?? .inline, attributes: level.attributes)
        let entries = level.directory.bytes(level.numbers)
        if let blocks = level.blocks {
            try writer.fillInode(level.number, inode)
            try writer.fill(Int(blocks) * ErofsFormat.blockSize, entries)
        } else {
            try writer.fillInode(level.number, inode + entries)
        }
        return level.number
    }

    // MARK: Files

    private mutating func file(
        _ name: [CChar], in directory: Int32, of source: Int, _ writer: inout ErofsWriter
    ) throws(SystemError) -> UInt64 {
        var status = stat()
        _ = try retrying("stat") { fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) }
        let identity = LinkedFile(source: source, inode: status.st_ino)
        if let known = linked[identity] {
            linked[identity] = (known.number, known.names + 1)
            return known.number
        }
        let number =
            switch status.st_mode & S_IFMT {
            case S_IFREG: try regular(name, status, in: directory, &writer)
            case S_IFLNK: try link(name, status, in: directory, &writer)
            default:
                try plain(
                    status, size: 0, .device(status.st_rdev), try Self.attributes(of: name, directory),
                    &writer)
            }
        if status.st_nlink > 1 { linked[identity] = (number, 1) }
        return number
    }

    private mutating func regular(
        _ name: [CChar], _ status: stat, in directory: Int32, _ writer: inout ErofsWriter
    ) throws(SystemError) -> UInt64 {
        let file = try Self.open(name, directory, O_RDONLY | O_NOATIME)
        var attributes = try Self.attributes(file.raw)
        guard status.st_size > 0 else { return try plain(status, size: 0, .blocks(0), attributes, &writer) }
        if let objects {
            let digest = try objects.adopt(file.raw, status, name, in: directory)
            needed.insert(digest)
            attributes.append(.init("trusted.overlay.metacopy", []))
            attributes.append(.init("trusted.overlay.redirect", Array(FileObjects.path(digest.hex).utf8)))
        }
        return try plain(status, size: Int(status.st_size), .hole, attributes, &writer)
    }

    private func link(
        _ name: [CChar], _ status: stat, in directory: Int32, _ writer: inout ErofsWriter
    ) throws(SystemError) -> UInt64 {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = try retrying("readlink") {
            buffer.withUnsafeMutableBytes {
                readlinkat(directory, name, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
            }
        }
        let target = Array(buffer[..<count])
        let attributes = try ErofsFormat.attributes(Self.attributes(of: name, directory))
        let head = ErofsFormat.inodeSize + attributes.count
        let isInline = head + count <= ErofsFormat.blockSize
        let number = try writer.takeInode(head + (isInline ? count : 0))
        var contents = ErofsFormat.Contents.inline
        if !isInline {
            let block = try writer.takeBlocks(count)
            try writer.fill(Int(block) * ErofsFormat.blockSize, target)
            contents = .blocks(block)
        }
        let inode = ErofsFormat.inode(
            status, size: count, links: UInt32(status.st_nlink), number: number, contents: contents,
            attributes: attributes)
        try writer.fillInode(number, isInline ? inode + target : inode)
        return number
    }

    /// An inode without contents of its own.
    private func plain(
        _ status: stat, size: Int, _ contents: ErofsFormat.Contents,
        _ attributes: [ExtendedAttributes.Attribute], _ writer: inout ErofsWriter
    ) throws(SystemError) -> UInt64 {
        let attributes = try ErofsFormat.attributes(attributes)
        var length = ErofsFormat.inodeSize + attributes.count
        if case .hole = contents { length += 4 * ErofsFormat.holeChunks(size) }
        let number = try writer.takeInode(length)
        let inode = ErofsFormat.inode(
            status, size: size, links: UInt32(status.st_nlink), number: number, contents: contents,
            attributes: attributes)
        try writer.fillInode(number, inode)
        return number
    }

    // MARK: What is asked of the unpacked files

    private static func open(_ name: [CChar], _ directory: Int32, _ flags: Int32) throws(SystemError)
        -> Descriptor
    {
        Descriptor(
            owning: try retrying("open") { openat(directory, name, flags | O_NOFOLLOW | O_CLOEXEC) })
    }

    /// - Returns: nil for a whiteout, of which an image of several layers has none.
    private func type(_ entry: DirectoryListing.Entry, _ directory: Int32) throws(SystemError) -> UInt8? {
        switch Int(entry.type) {
        case Int(DT_REG): return 1
        case Int(DT_DIR): return 2
        case Int(DT_LNK): return 7
        default:
            var status = stat()
            _ = try retrying("stat", entry.text) {
                fstatat(directory, entry.name, &status, AT_SYMLINK_NOFOLLOW)
            }
            if objects == nil, status.st_mode & S_IFMT == S_IFCHR, status.st_rdev == 0 { return nil }
            return ErofsDirectory.type(ofMode: status.st_mode)
        }
    }

    private static func attributes(_ file: Int32) throws(SystemError) -> [ExtendedAttributes.Attribute] {
        var attributes: [ExtendedAttributes.Attribute] = []
        for name in try ExtendedAttributes.names(file) {
            if let value = try ExtendedAttributes.value(file, name) {
                attributes.append(.init(name: name, value: value))
            }
        }
        return attributes
    }

    private static func attributes(of name: [CChar], _ directory: Int32) throws(SystemError)
        -> [ExtendedAttributes.Attribute]
    {
        var attributes: [ExtendedAttributes.Attribute] = []
        for attribute in try ExtendedAttributes.names(of: name, at: directory) {
            if let value = try ExtendedAttributes.value(of: name, at: directory, attribute) {
                attributes.append(.init(name: attribute, value: value))
            }
        }
        return attributes
    }
}
