import CommandGrammar
import ContainerEngine
import ContainerMonitor

extension AttachedStreams {
    /// What `--attach`, `--interactive` and `--detach` come to.
    init(_ names: [String], detach: Bool, openStdin: Bool) throws {
        if detach {
            guard names.isEmpty else {
                throw EngineError(.invalid, "--attach and --detach contradict each other: use one of them")
            }
        }
        for name in names where !["stdin", "stdout", "stderr"].contains(name.lowercased()) {
            throw EngineError(.invalid, "invalid --attach \"\(name)\": use stdin, stdout or stderr")
        }
        let chosen = Set(names.map { $0.lowercased() })
        self.init(
            stdin: openStdin && (chosen.isEmpty || chosen.contains("stdin")),
            stdout: chosen.isEmpty || chosen.contains("stdout"),
            stderr: chosen.isEmpty || chosen.contains("stderr"))
    }
}

extension DetachKeys {
    /// `--detach-keys`.
    static func parse(_ values: Values) throws -> DetachKeys {
        let text = values.string("detach-keys") ?? "ctrl-p,ctrl-q"
        do {
            return try DetachKeys(parsing: text)
        } catch {
            throw EngineError(.invalid, "invalid --detach-keys \"\(text)\": \(error)")
        }
    }
}
