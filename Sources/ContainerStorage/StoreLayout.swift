import LayerArchive
import LinuxSystem

/// The names in a store's directory. What is there is an OCI image layout
/// (image-spec, image-layout.md) and, beside it, what only this program reads:
///
///     oci-layout  index.json  blobs/ALGORITHM/HEX     the image layout
///     apus.db (-wal, -shm)                            metadata; it says what is referenced
///     boot                                            the disk's session in which content was last added
///     overlay/layers/HEX/{diff,layer.json,root}       unpacked layers, by diffID
///     overlay/implied/HEX/diff                        directories of theirs, by chain
///     overlay/snapshots/ID/{upper,work,merged}        containers' changes
///     vfs/layers/HEX/layer.json  vfs/trees/HEX/       the same for copies, trees by chain
///     btrfs/                                          as vfs; trees and snapshots are subvolumes
///     erofs/layers/HEX/{image,objects,layer.json}     as overlay; a layer is an EROFS image
///     erofs/objects/HE/X  erofs/trees/HEX/image       files' contents by digest; images of chains
///     volumes/NAME/_data
///     containers/ID/                                  the engine's
///     ingest/  trash/                                 what is being made and unmade
///     partial/HEX                                     blobs whose download was cut short
///     locks/
enum StoreLayout {
    static let database = "apus.db"
    /// While it is made.
    static let newDatabase = "apus.db.new"
    static let boot = "boot"
    static let directories =
        ["blobs", "blobs/sha256", "ingest", "trash", "volumes", "containers"]
        + directories(of: .overlay) + directories(of: .vfs)

    /// What a driver keeps, made when it is first asked for.
    static func directories(of driver: SnapshotterName) -> [String] {
        let names =
            switch driver {
            case .overlay: ["", "/layers", "/snapshots", "/empty", "/view"]
            case .vfs, .btrfs: ["", "/layers", "/trees", "/snapshots"]
            case .erofs: ["", "/layers", "/objects", "/trees", "/snapshots"]
            }
        return names.map { driver.rawValue + $0 }
    }

    /// `lost+found` is in the root of every fresh ext4.
    private static let known: Set<String> = [
        "oci-layout", "index.json", "blobs", "ingest", "trash", "volumes", "containers", "overlay", "vfs",
        "btrfs", "erofs", "partial", "locks", "boot", "apus.db", "apus.db-wal", "apus.db-shm",
        "apus.db-journal", "apus.db.new", "apus.db.new-wal", "apus.db.new-shm", "lost+found",
    ]

    /// Whether a directory without a database may become a store: it is empty,
    /// or a store whose maker was killed. `locks` is made first, so an image
    /// layout of another program's is neither.
    /// - Returns: what speaks against it.
    static func objection(to names: [String]) -> String? {
        let names = names.filter { $0 != "lost+found" && !$0.hasSuffix(".tmp") }
        if names.isEmpty { return nil }
        if let stranger = names.sorted().first(where: { !known.contains($0) }) {
            return "the directory has other files in it (\(stranger)); a new store needs an empty one"
        }
        if names.contains("locks") { return nil }
        return "the directory has \(names.sorted()[0]) in it but no database; a new store needs an empty one"
    }
}

extension Digest {
    /// As a file's name where the algorithm has no directory of its own.
    var fileName: String { algorithm == .sha256 ? hex : "\(algorithm.rawValue)-\(hex)" }

    init?(fileName: String) {
        guard let dash = fileName.firstIndex(of: "-") else {
            guard let digest = try? Digest(.sha256, hex: fileName) else { return nil }
            self = digest
            return
        }
        guard let algorithm = Algorithm(rawValue: String(fileName[..<dash])),
            let digest = try? Digest(algorithm, hex: String(fileName[fileName.index(after: dash)...]))
        else { return nil }
        self = digest
    }

    var blobPath: String { "\(blobFolder)/\(hex)" }
    var blobFolder: String { "blobs/\(algorithm.rawValue)" }
}
