import LinuxSystem

/// What passes on the attach socket, one packet a message.
///
/// Output does not pass here: a client brings a pipe for each stream that it
/// wants, and the monitor writes into it. Nor does input: the monitor answers
/// with the end that leads into the container. So the kernel moves the bytes
/// once less each way, a slow client fills its own pipe only, and the end of a
/// stream is the end of its pipe.
///
///     client                                   monitor
///       ── hello, pipes for output ───────────▶
///       ◀─ attached, descriptor for input ────
///       ── resize, signal, inputEnded ────────▶
///                    …
///       ◀─ exited(code) ──────────────────────  after all output
///       ── cleaned ───────────────────────────▶ from one that cleans up
enum AttachMessage: Equatable {
    struct Hello: OptionSet {
        let rawValue: UInt8
        /// A pipe for standard output comes first.
        static let stdout = Hello(rawValue: 1)
        /// A pipe for standard error comes next.
        static let stderr = Hello(rawValue: 2)
        static let stdin = Hello(rawValue: 4)
        /// The container may wait for this client for as long as it likes.
        static let foreground = Hello(rawValue: 8)
        /// Cleans up after the container itself, and says so; the exit command is
        /// for when it cannot.
        static let cleansUp = Hello(rawValue: 16)
    }

    // From the client
    case hello(Hello)
    case resize(Terminal.Size)
    case signal(Int32)
    case inputEnded
    case requestStop
    case cleaned

    // From the monitor
    /// With the descriptor for input, if there is one.
    case attached(isTerminal: Bool)
    /// The answer to `signal` and `requestStop`: 0 or an error number.
    case done(Int32)
    case exited(Int32)
    /// The client took no output for too long.
    case dropped

    static let limit = 16

    var bytes: [UInt8] {
        switch self {
        case .hello(let hello): [1, hello.rawValue]
        case .resize(let size): [2] + Self.bytes(of: Int32(size.rows)) + Self.bytes(of: Int32(size.columns))
        case .signal(let number): [3] + Self.bytes(of: number)
        case .inputEnded: [4]
        case .requestStop: [5]
        case .cleaned: [6]
        case .attached(let isTerminal): [64, isTerminal ? 1 : 0]
        case .done(let errno): [65] + Self.bytes(of: errno)
        case .exited(let code): [66] + Self.bytes(of: code)
        case .dropped: [67]
        }
    }

    init?(_ bytes: [UInt8]) {
        func number(_ position: Int) -> Int32 {
            (0..<4).reduce(0) { $0 | Int32(bytes[position + $1]) << (8 * Int32($1)) }
        }
        switch (bytes.first, bytes.count) {
        case (1, 2): self = .hello(Hello(rawValue: bytes[1]))
        case (2, 9):
            self = .resize(
                .init(
                    rows: UInt16(truncatingIfNeeded: number(1)),
                    columns: UInt16(truncatingIfNeeded: number(5))))
        case (3, 5): self = .signal(number(1))
        case (4, 1): self = .inputEnded
        case (5, 1): self = .requestStop
        case (6, 1): self = .cleaned
        case (64, 2): self = .attached(isTerminal: bytes[1] != 0)
        case (65, 5): self = .done(number(1))
        case (66, 5): self = .exited(number(1))
        case (67, 1): self = .dropped
        default: return nil
        }
    }

    private static func bytes(of value: Int32) -> [UInt8] {
        let value = UInt32(bitPattern: value)
        return (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
}
