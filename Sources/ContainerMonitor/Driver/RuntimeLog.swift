import JSONText
import LinuxSystem

/// The file that another OCI runtime's `--log` names, with `--log-format json`.
public enum RuntimeLog {
    /// - Parameter action: what failed, for the message.
    /// - Returns: the last error in the log; nil when there is none.
    public static func failure(_ path: String, of action: String) -> MonitorError? {
        let lines = (try? File.read(path, limit: 1 << 20))?.split(separator: 0x0A) ?? []
        let messages = lines.compactMap { line -> String? in
            guard let entry = try? JSON(parsing: Array(line)), entry["level"]?.string == "error" else {
                return nil
            }
            return entry["msg"]?.string
        }
        guard let message = messages.last else { return nil }
        return MonitorError(code(message.lowercased()), "\(action): \(message)")
    }

    /// A runtime has no other word for it than its text (runc, crun and podman agree on these).
    private static func code(_ text: String) -> MonitorError.Code {
        if text.contains("executable file") && text.contains("not found") {
            .commandNotFound
        } else if text.contains("exec") && text.contains("no such file or directory") {
            .commandNotFound
        } else if text.contains("exec")
            && ["permission denied", "is a directory", "operation not permitted"]
                .contains(where: text.contains)
        {
            .commandNotExecutable
        } else {
            .runtime
        }
    }
}
