import LinuxSystem
import Synchronization
import Testing

@Suite struct ThreadsTests {
    private struct Failure: Error, Equatable { var number: Int }

    @Test func resultsKeepTheirOrder() throws {
        #expect(try Threads.parallel(limit: 4, Array(0..<100)) { $0 * 2 } == (0..<100).map { $0 * 2 })
        #expect(try Threads.parallel(limit: 4, [Int]()) { $0 } == [])
        #expect(try Threads.parallel(limit: 1, [1, 2]) { $0 } == [1, 2])
    }

    @Test func theyRunAtOnce() throws {
        let waiting = Mutex(0)
        let all = Atomic<Bool>(false)
        try Threads.parallel(limit: 3, [0, 1, 2]) { _ in
            if waiting.withLock({
                $0 += 1
                return $0
            }) == 3 {
                all.store(true, ordering: .releasing)
            }
            let end = seconds() + 10
            while !all.load(ordering: .acquiring), seconds() < end { sched_yield() }
            let met = all.load(ordering: .acquiring)
            #expect(met)
        }
    }

    @Test(arguments: [1, 4]) func theFirstFailureStopsTheRest(_ limit: Int) throws {
        let started = Atomic<Int>(0)
        let stop = StopFlag()
        #expect(throws: Failure(number: 3)) {
            try Threads.parallel(limit: limit, Array(0..<1000), stop: stop) { number in
                started.add(1, ordering: .relaxed)
                if number == 3 { throw Failure(number: 3) }
                usleep(1000)
            }
        }
        #expect(stop.isRaised && started.load(ordering: .relaxed) < 100)
    }
}
