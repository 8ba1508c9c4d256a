import LinuxSystem

/// Puts descriptors in the places of the standard streams.
enum StandardStreams {
    static func set(_ streams: [Int32?]) throws(RuntimeError) {
        try during("set the standard streams") { () throws(SystemError) in
            // Out of the way first: one may stand where another has to go.
            var lifted: [(source: Int32, place: Int32)] = []
            for (place, stream) in streams.enumerated() {
                guard let stream else { continue }
                let copy = try checked("duplicate descriptor", "\(stream)") {
                    linux_fcntl(stream, F_DUPFD_CLOEXEC, 64)
                }
                lifted.append((copy, Int32(place)))
            }
            for (source, place) in lifted { _ = try retrying("dup3") { dup3(source, place, 0) } }
        }
    }

    /// What the kernel calls those of the streams that are pipes (`pipe:[4711]`); empty when none is.
    /// - Parameter streams: nil is the caller's own.
    static func pipes(_ streams: [Int32?]) -> [String] {
        let names = streams.enumerated().map { place, stream in
            guard let status = try? FD.stat(stream ?? Int32(place)), status.st_mode & S_IFMT == S_IFIFO else {
                return ""
            }
            return "pipe:[\(status.st_ino)]"
        }
        return names.allSatisfy(\.isEmpty) ? [] : names
    }
}
