import LinuxSystem
import OCISpec

/// The connection to the agent that decides about the calls that a filter leaves open
/// (config-linux.md, "The Container Process State"). The process under the filter itself
/// sends the listener: at `start` no runtime is there that could fetch it.
final class SeccompAgent {
    let socket: Descriptor
    private let state: RuntimeState
    private let metadata: String?
    /// What is sent with the listener.
    private(set) var message: [UInt8] = []
    /// For hooks that run under the same filter, each with a listener of its own.
    private var spares: [SeccompAgent] = []

    /// Connects.
    init(_ profile: Seccomp, state: RuntimeState, spares count: Int = 0) throws(RuntimeError) {
        let path = profile.listenerPath ?? ""
        do throws(SystemError) {
            socket = try UnixSocket.connect(path, .stream)
        } catch {
            throw RuntimeError(
                .system, "failed to connect with seccomp agent specified in the seccomp profile", cause: error
            )
        }
        self.state = state
        metadata = profile.listenerMetadata
        for _ in 0..<count { spares.append(try SeccompAgent(profile, state: state)) }
    }

    /// In the process, while the host's procfs is there to say what its number is.
    func prepare(_ procfs: borrowing Procfs) throws(RuntimeError) {
        let raw = procfs.raw
        let pid = try during("find the process's number") { () throws(SystemError) in
            Int32(try File.readLink("self", at: raw)) ?? 0
        }
        prepare(pid)
    }

    private func prepare(_ pid: Int32) {
        var state = state
        if state.pid == 0 { state.pid = pid }
        message = SeccompListener.message(process: pid, state: state, metadata: metadata)
        for spare in spares { spare.prepare(pid) }
    }

    func takeSpare() -> SeccompAgent? { spares.popLast() }

    /// All its sockets.
    var descriptors: [Int32] { [socket.raw] + spares.map { $0.socket.raw } }
}
