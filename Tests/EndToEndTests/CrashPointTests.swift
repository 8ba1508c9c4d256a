import LinuxSystem
import Testing

extension EndToEnd {
    /// Everything that a command started is killed before a system call that changes the disk, at one
    /// call after another (Tests/CrashPoint). What is there then must open, be either what was before
    /// or what would have been after, and let the command succeed.
    ///
    /// - `APUS_CRASH_POINTS`: at how many calls of each command, spread evenly (default 2; `all`)
    /// - `APUS_CRASH_CASES`: only cases with this in their name, as `commit` or `erofs`
    @Suite(.ours, .needs("mkfs.ext4", "losetup")) struct CrashPointTests {
        static let points: Int? = {
            let given = Programs.environment("APUS_CRASH_POINTS") ?? "2"
            return given == "all" ? nil : max(Int(given) ?? 2, 1)
        }()

        private static func chosen(_ cases: [CrashCase]) -> [CrashCase] {
            guard let part = Programs.environment("APUS_CRASH_CASES") else { return cases }
            return cases.filter { $0.testDescription.contains(part) }
        }

        /// A killed process: the kernel keeps what was written.
        @Test(arguments: chosen(CrashCase.all)) func killed(_ crash: CrashCase) throws {
            try Host.with { host in
                guard let scene = try CrashScene(host, crash, losesPower: false) else { return }
                var tally = Tally()
                for point in scene.sample(Self.points) {
                    try scene.restore()
                    guard try scene.crash(at: point) else { continue }
                    tally.add(try scene.verify("\(crash.testDescription), killed at call \(point)"))
                }
                try scene.forgetBoot()
                tally.print(crash, "killed", scene.calls)
            }
        }

        /// A power cut: what the kernel had not written yet is gone, too.
        @Test(arguments: chosen(CrashCase.outlivingBoots)) func powerLost(_ crash: CrashCase) throws {
            try Host.with { host in
                guard let scene = try CrashScene(host, crash, losesPower: true) else { return }
                var tally = Tally()
                for (index, point) in scene.sample(Self.points.map { max($0 / 2, 1) }).enumerated() {
                    try scene.restore()
                    // Every other time the kernel had written some of it by itself.
                    guard try scene.crash(at: point, syncAt: index % 2 == 0 ? nil : max(point / 2, 1)) else {
                        continue
                    }
                    try scene.losePower()
                    tally.add(try scene.verify("\(crash.testDescription), power lost at call \(point)"))
                }
                // What a command said it did, it did for good.
                for alone in [true, false] {
                    try scene.restore()
                    try scene.complete(alone: alone)
                    try scene.losePower()
                    try scene.verify(
                        "\(crash.testDescription), power lost \(alone ? "at" : "after") its end",
                        hasEnded: true)
                }
                tally.print(crash, "power lost", scene.calls)
            }
        }
    }
}

/// How many points left the work undone, and how many done.
private struct Tally {
    private var undone = 0
    private var done = 0

    mutating func add(_ isDone: Bool) {
        if isDone { done += 1 } else { undone += 1 }
    }

    func print(_ crash: CrashCase, _ how: String, _ calls: Int) {
        Swift.print(
            "crash points: \(crash.testDescription), \(how): \(undone + done) of \(calls) calls; "
                + "left undone \(undone), done \(done)")
    }
}
