import LinuxSystem
import Testing

extension EndToEnd {
    /// Everything that a command started is killed before a system call that changes the disk, at one
    /// call after another (Tests/CrashPoint). What is there then must open, be either what was before
    /// or what would have been after, and let the command succeed.
    ///
    /// - `APUS_CRASH_POINTS`: at how many calls of each command, spread evenly (default 12; `all`)
    @Suite(.ours, .needs("mkfs.ext4", "losetup")) struct CrashPointTests {
        static let points: Int? = {
            let given = Programs.environment("APUS_CRASH_POINTS") ?? "12"
            return given == "all" ? nil : Int(given) ?? 12
        }()

        enum Operation: String, CaseIterable, CustomTestStringConvertible {
            case pull, pullSharedLayers, load, importing, tag, untag, rmi, create, rm, volumeCreate,
                volumeRemove
            var testDescription: String { rawValue }
        }

        /// A killed process: the kernel keeps what was written.
        @Test(arguments: Operation.allCases) func killed(_ operation: Operation) throws {
            try Host.with { host in
                let scene = try CrashScene(host, operation)
                var cases = Tally()
                for point in scene.sample(Self.points) {
                    try scene.restore()
                    guard try scene.crash(at: point) else { continue }
                    cases.add(try scene.verify("\(operation.rawValue), killed at call \(point)"))
                }
                cases.print(operation.rawValue, "killed", scene.calls)
            }
        }

        /// A power cut: what the kernel had not written yet is gone, too.
        @Test(arguments: Operation.allCases) func powerLost(_ operation: Operation) throws {
            try Host.with { host in
                let disk = try CrashDisk(host)
                let scene = try CrashScene(host, operation, on: disk)
                var cases = Tally()
                for (index, point) in scene.sample(Self.points.map { max($0 / 2, 1) }).enumerated() {
                    try scene.restore()
                    // Every other time the kernel had written some of it by itself.
                    guard try scene.crash(at: point, syncAt: index % 2 == 0 ? nil : max(point / 2, 1)) else {
                        continue
                    }
                    try disk.losePower()
                    cases.add(try scene.verify("\(operation.rawValue), power lost at call \(point)"))
                }
                // What a command said it did, it did for good.
                try scene.restore()
                try scene.complete()
                try disk.losePower()
                #expect(try scene.verify("\(operation.rawValue), power lost after its end"))
                cases.print(operation.rawValue, "power lost", scene.calls)
            }
        }
    }
}

/// How many points left the state of before, and how many that of after.
private struct Tally {
    var before = 0
    var after = 0

    mutating func add(_ isAfter: Bool) {
        if isAfter { after += 1 } else { before += 1 }
    }

    func print(_ operation: String, _ how: String, _ calls: Int) {
        Swift.print(
            "crash points: \(operation), \(how): \(before + after) of \(calls) calls; left undone \(before), done \(after)"
        )
    }
}
