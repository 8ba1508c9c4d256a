/// Signals read from a descriptor (signalfd(2)). They are blocked for the
/// calling thread, and for those that it makes afterwards.
public struct SignalDescriptor: ~Copyable, Sendable {
    private let descriptor: Descriptor
    public var raw: Int32 { descriptor.raw }

    public init(_ signals: [Int32]) throws(SystemError) {
        var set = SignalMask.set(of: signals)
        pthread_sigmask(SIG_BLOCK, &set, nil)
        descriptor = Descriptor(
            owning: try retrying("signalfd") { signalfd(-1, &set, Int32(SFD_CLOEXEC | SFD_NONBLOCK)) })
    }

    /// The next signal that came, or nil.
    public func next() -> Int32? {
        var information = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        guard Glibc.read(raw, &information, size) == size else { return nil }
        return Int32(information.ssi_signo)
    }
}

/// What a thread does with signals.
public enum SignalMask {
    public static func set(of signals: [Int32]) -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        return set
    }

    public static var current: sigset_t {
        var set = sigset_t()
        pthread_sigmask(SIG_BLOCK, nil, &set)
        return set
    }

    public static func block(_ signals: [Int32]) {
        var set = set(of: signals)
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    public static func replace(with mask: sigset_t) {
        var mask = mask
        pthread_sigmask(SIG_SETMASK, &mask, nil)
    }

    /// Ignores the signals: unlike a handler, that survives execve(2).
    public static func ignore(_ signals: [Int32]) {
        for number in signals { signal(number, SIG_IGN) }
    }

    /// Default actions and an empty mask, as a new program expects them.
    public static func reset() {
        for number in Int32(1)..<32 where number != SIGKILL && number != SIGSTOP { signal(number, SIG_DFL) }
        var empty = set(of: [])
        pthread_sigmask(SIG_SETMASK, &empty, nil)
    }
}
