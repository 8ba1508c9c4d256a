internal import LinuxSystem

/// Counts failures in a row and pauses between repetitions, longer each time.
struct Attempts {
    private let options: RegistryOptions
    private var failures = 0
    private var total = 0

    init(_ options: RegistryOptions) { self.options = options }

    /// There was progress: the patience starts anew, within a bound.
    mutating func succeeded() { failures = 0 }

    /// Waits before the next attempt.
    /// - Throws: `error` when it was the last one.
    mutating func pause(after error: RegistryError) throws(RegistryError) {
        failures += 1
        total += 1
        // A registry that nobody listens on is not worth waiting long for.
        let allowed = error.neverConnected && total == failures ? min(2, options.retries) : options.retries
        guard failures <= allowed, total <= allowed * 10 else {
            var error = error
            if failures > 1 { error.message += " (given up after \(total) attempts)" }
            throw error
        }
        let first = options.firstPauseMilliseconds
        var pause = min(max(first, 10_000), first << min(failures - 1, 16))
        if let seconds = error.retryAfter { pause = max(pause, min(max(seconds, 0), 30) * 1000) }
        while pause > 0 {
            if options.stop?.isRaised == true {
                throw RegistryError(.cancelled, error.request, "cancelled")
            }
            let slice = min(pause, 500)
            poll(nil, 0, Int32(slice))
            pause -= slice
        }
    }
}

extension RegistryError {
    /// It may go better the next time.
    public var isTransient: Bool {
        switch code {
        case .connection, .timedOut, .tooManyRequests, .unavailable: status != 501
        case .refused: status == 408
        default: false
        }
    }
}
