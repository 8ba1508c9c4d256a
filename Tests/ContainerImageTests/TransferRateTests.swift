import Testing

@testable import ContainerImage

/// When parts are fetched, and when the whole.
@Suite struct TransferRateTests {
    /// A connection with 20 ms to the first byte and 10 MB/s.
    let usual = TransferRate(answer: 0.02, bandwidth: 10_000_000)
    let megabyte: Int64 = 1_000_000

    @Test func fewBytesOfMany() {
        #expect(usual.isCheaper(fetches: 3, bytes: megabyte, than: 50 * megabyte))
        #expect(usual.isCheaper(fetches: 0, bytes: 0, than: 2 * megabyte))
    }

    @Test func notWhenLittleIsSaved() {
        #expect(!usual.isCheaper(fetches: 1, bytes: 45 * megabyte, than: 50 * megabyte))
        #expect(!usual.isCheaper(fetches: 1, bytes: 50 * megabyte, than: 50 * megabyte))
    }

    /// 2,000 requests, four at once, are ten seconds; the whole is five.
    @Test func notWhenRequestsTakeLonger() {
        #expect(!usual.isCheaper(fetches: 2000, bytes: megabyte, than: 50 * megabyte))
        #expect(usual.isCheaper(fetches: 400, bytes: megabyte, than: 50 * megabyte))
    }

    @Test func notOnAFastLine() {
        let near = TransferRate(answer: 0.02, bandwidth: 10_000_000_000)
        #expect(!near.isCheaper(fetches: 8, bytes: megabyte, than: 50 * megabyte))
        #expect(!near.mayGain(size: 50 * megabyte))
        #expect(usual.mayGain(size: 50 * megabyte))
    }

    /// Nothing is known: a gigabit a second is taken for granted.
    @Test func unmeasured() {
        let unknown = TransferRate(answer: 0.02, bandwidth: nil)
        #expect(!unknown.mayGain(size: 5 * megabyte))
        #expect(unknown.mayGain(size: 50 * megabyte))
        #expect(unknown.isCheaper(fetches: 4, bytes: megabyte, than: 50 * megabyte))
    }

    /// A request takes as long as so many bytes.
    @Test func bridge() {
        #expect(usual.bridge == 50_000)
        #expect(TransferRate(answer: 0, bandwidth: nil).bridge == 0)
        #expect(TransferRate(answer: 1e9, bandwidth: 1e18).bridge == 64 << 20)
    }

    @Test func measured() {
        let meter = TransferMeter()
        #expect(meter.rate == nil)
        meter.add(answer: 0.5)
        meter.add(bytes: 1000, seconds: 1)
        #expect(meter.rate == TransferRate(answer: 0.5, bandwidth: nil))
        meter.add(bytes: 9_999_000, seconds: 1)
        #expect(meter.rate == TransferRate(answer: 0.5, bandwidth: 5_000_000))
    }
}
