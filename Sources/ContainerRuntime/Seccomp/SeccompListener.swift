internal import JSONText
internal import LinuxSystem
public import OCISpec

/// Hands a filter's listener to the agent that decides about the calls
/// (config-linux.md, "The Container Process State").
public enum SeccompListener {
    /// Connects to the agent's UNIX stream socket and sends the container process
    /// state, with the listener attached.
    /// - Parameters:
    ///   - listener: from `SeccompFilter.install()`; the caller closes it.
    ///   - process: the process under the filter, as the runtime's PID namespace numbers it.
    public static func send(
        _ listener: Int32, of process: Int32, state: RuntimeState, profile: Seccomp
    ) throws(SeccompError) {
        guard let path = profile.listenerPath else { throw .notifyWithoutListener }
        do throws(SystemError) {
            let socket = try UnixSocket.connect(path, .stream)
            let text = message(process: process, state: state, metadata: profile.listenerMetadata)
            try UnixSocket.send(socket.raw, text, descriptors: [listener])
        } catch {
            throw .system(SystemError("send the seccomp listener to", path, error.errno))
        }
    }

    static func message(process: Int32, state: RuntimeState, metadata: String?) -> [UInt8] {
        var message = JSONObject()
        message["ociVersion"] = .string(state.ociVersion)
        message["fds"] = .array([.string("seccompFd")])
        message["pid"] = .integer(Int64(process))
        if let metadata { message["metadata"] = .string(metadata) }
        message["state"] = state.json
        return JSON.object(message).bytes()
    }
}
