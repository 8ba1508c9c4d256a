internal import LayerArchive
internal import LinuxSystem
internal import OCISpec
internal import RegistryClient

/// A Docker daemon, which loads an archive. It is made aside, in a file without a name: the daemon
/// sees nothing of an image that is not whole.
final class DaemonDestination: ImageDestination {
    let name: String
    private let daemon: DockerDaemon
    private let file: SharedFile
    private let archive: DockerArchiveDestination

    init(_ daemon: DockerDaemon, name: String) throws {
        self.daemon = daemon
        self.name = name
        file = SharedFile(try ScratchFile.make(in: ScratchFile.directory), path: name)
        archive = DockerArchiveDestination(descriptor: file.raw, name: name)
    }

    var traits: DestinationTraits { archive.traits }
    func put(layer: OutgoingBlob) throws -> Bool { try archive.put(layer: layer) }
    func put(config: OutgoingBlob) throws { try archive.put(config: config) }
    func put(instance: OutgoingManifest) throws { try archive.put(instance: instance) }
    func put(top: OutgoingManifest, names: [String]) throws { try archive.put(top: top, names: names) }

    func commit() throws {
        try archive.commit()
        let size = Int64(try FD.stat(file.raw).st_size)
        try daemon.load(size: size) { [file] in FileRange(file, offset: 0, size: size) }
    }
}

extension DockerDaemon {
    /// An image's archive, copied aside: its parts come in any order.
    func archive(of name: String, scratch: String) throws -> ArchiveFiles {
        let file = SharedFile(try ScratchFile.make(in: scratch), path: "docker-daemon:\(name)")
        try image(name).copy(to: DescriptorSink(file.raw))
        lseek(file.raw, 0, Int32(SEEK_SET))
        return try ArchiveFiles(file, scratch: scratch)
    }
}
