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
}
