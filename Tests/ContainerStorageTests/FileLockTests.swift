import LinuxSystem
import Synchronization
import Testing

@Suite struct FileLockTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// Who removes what the lock is for removes its file too, while others wait for it.
    @Test func oneHolderThoughTheFileGoes() throws {
        let path = "\(scratch.path)/lock"
        let holders = Mutex((now: 0, most: 0, all: 0))
        try Threads.parallel(limit: 8, Array(0..<8)) { _ in
            for _ in 0..<200 {
                let lock = try FileLock(path)
                holders.withLock {
                    $0.now += 1
                    $0.all += 1
                    $0.most = max($0.most, $0.now)
                }
                sched_yield()
                holders.withLock { $0.now -= 1 }
                try? File.unlink(path)
                _ = lock.raw
            }
        }
        let seen = holders.withLock { $0 }
        #expect(seen.most == 1 && seen.all == 1600)
    }
}
