import LinuxSystem

/// The conversation between the runtime and the process that becomes the
/// container's first one.
///
///     runtime                                      container's process
///     clone3 ─────────────────────────────────────▶
///     writes the ID maps         ── mapped ──────▶  (with a user namespace only)
///                                                   namespaces, mounts, devices
///     cgroup, state.json         ── go+fds ──────▶  joins the v1 groups
///     what takes the host's      ◀─ clocks ──────   (where they are asked for only)
///     rights                     ◀─ devices ─────
///                                ◀─ mount ───────
///                                ── done+fd ─────▶
///     prestart, createRuntime    ◀─ hooks ───────   (with such hooks only)
///                                ── done ────────▶
///                                                   createContainer, pivot_root
///     keeps or passes it on      ◀─ terminal+fd ─   (with a terminal only)
///                                ◀─ waiting ─────   (`create`: then it waits at the FIFO)
///                                                   startContainer, rights, seccomp
///                                ◀─ executing ───
///     end of file: it runs                          execve
///
/// `failed` may come at any time, as may the eight bytes of the launch
/// program. Either side takes an early end of file for the other's death: a
/// killed runtime leaves no process behind.
enum SyncMessage: Equatable {
    case mapped, go, hooks, clocks, devices, done, waiting, executing
    /// The config's mount whose source the process cannot open itself.
    case mount(Int)
    /// With the master's descriptor: the terminal's name in the container.
    case terminal(String)
    case failed(RuntimeError)
    case launchFailed(LaunchProgram.Failure)

    /// Stands for the root file system in `mount`. On older kernels alone (`MountStage`).
    static let rootPosition = -1

    private var letter: UInt8 {
        switch self {
        case .mapped: UInt8(ascii: "M")
        case .go: UInt8(ascii: "G")
        case .hooks: UInt8(ascii: "H")
        case .clocks: UInt8(ascii: "C")
        case .devices: UInt8(ascii: "D")
        case .mount: UInt8(ascii: "B")
        case .done: UInt8(ascii: "d")
        case .waiting: UInt8(ascii: "W")
        case .executing: Self.executingLetter
        case .terminal: UInt8(ascii: "T")
        case .failed, .launchFailed: UInt8(ascii: "E")
        }
    }

    /// Once the command is about to be executed, only that it failed can be said.
    var mayFollowExecuting: Bool {
        if case .launchFailed = self { true } else { false }
    }

    static let executingLetter = UInt8(ascii: "X")
    private static let launchFailureSize = 8

    var bytes: [UInt8] {
        if case .terminal(let name) = self { return [letter] + name.utf8 + Array("       ".utf8) }
        if case .mount(let position) = self { return [letter] + "\(position)       ".utf8 }
        guard case .failed(let error) = self else { return [letter] }
        var bytes = [
            letter, error.code.rawValue, UInt8(truncatingIfNeeded: error.cause?.errno.rawValue ?? 0),
        ]
        bytes.append(contentsOf: error.description.utf8.prefix(3000))
        // Eight bytes are the launch program's.
        if bytes.count == Self.launchFailureSize { bytes.append(UInt8(ascii: " ")) }
        return bytes
    }

    init?(_ bytes: [UInt8]) {
        if bytes.count == Self.launchFailureSize {
            self = .launchFailed(LaunchProgram.Failure(bytes))
            return
        }
        guard let letter = bytes.first else { return nil }
        switch letter {
        case UInt8(ascii: "M"): self = .mapped
        case UInt8(ascii: "G"): self = .go
        case UInt8(ascii: "H"): self = .hooks
        case UInt8(ascii: "C"): self = .clocks
        case UInt8(ascii: "D"): self = .devices
        case UInt8(ascii: "d"): self = .done
        case UInt8(ascii: "B"):
            let digits = bytes.dropFirst().prefix { $0 != UInt8(ascii: " ") }
            guard let position = Int(String(decoding: digits, as: UTF8.self)) else { return nil }
            self = .mount(position)
        case UInt8(ascii: "W"): self = .waiting
        case UInt8(ascii: "X"): self = .executing
        case UInt8(ascii: "T"):
            let name = bytes.dropFirst().prefix { $0 != UInt8(ascii: " ") }
            self = .terminal(String(decoding: name, as: UTF8.self))
        case UInt8(ascii: "E") where bytes.count > 3:
            self = .failed(
                RuntimeError(
                    RuntimeError.Code(rawValue: bytes[1]) ?? .system,
                    String(decoding: bytes[3...], as: UTF8.self)))
        default: return nil
        }
    }
}

/// One end of the conversation.
struct SyncChannel: ~Copyable {
    private let socket: Descriptor
    var raw: Int32 { socket.raw }

    init(_ socket: consuming Descriptor) { self.socket = socket }

    /// The socket alone.
    consuming func take() -> Descriptor { socket }

    func send(_ message: SyncMessage, descriptors: [Int32] = []) throws(SystemError) {
        try UnixSocket.send(socket.raw, message.bytes, descriptors: descriptors)
    }

    struct Received: ~Copyable {
        /// nil at the end.
        var message: SyncMessage?
        var descriptors: PassedDescriptors
    }

    func receive() throws(SystemError) -> Received {
        do throws(SystemError) {
            return try receiveOnce()
        } catch  where error.errno.rawValue == ECONNRESET {
            // The peer ended with words of ours unread. That is told once, before what it said last.
            return try receiveOnce()
        }
    }

    private func receiveOnce() throws(SystemError) -> Received {
        let message = try UnixSocket.receive(socket.raw)
        return Received(message: SyncMessage(message.bytes), descriptors: message.descriptors)
    }

    /// The child's side: waits for one message; anything else means that the runtime is gone.
    /// - Returns: the descriptors that came with it.
    @discardableResult
    func await(_ expected: SyncMessage) -> PassedDescriptors {
        guard let received = try? receive(), received.message == expected else { _exit(1) }
        return received.descriptors
    }
}
