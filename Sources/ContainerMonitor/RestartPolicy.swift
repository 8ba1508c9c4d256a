public import JSONText

/// Whether and when a container that ended is started again, with Docker's meaning.
public enum RestartPolicy: Equatable, Sendable, CustomStringConvertible {
    case no
    /// After an exit code other than 0; 0 is as often as it takes.
    case onFailure(maximum: Int)
    case always
    /// As `always`, until stopped by a person (who also decides what happens at boot).
    case unlessStopped

    /// Parses `no`, `on-failure`, `on-failure:3`, `always`, `unless-stopped`; empty is `no`.
    public init?(parsing text: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        switch (text.isEmpty ? "no" : parts[0], parts.count) {
        case ("no", 0), ("no", 1): self = .no
        case ("always", 1): self = .always
        case ("unless-stopped", 1): self = .unlessStopped
        case ("on-failure", 1): self = .onFailure(maximum: 0)
        case ("on-failure", 2):
            guard let maximum = Int(parts[1]), maximum >= 0 else { return nil }
            self = .onFailure(maximum: maximum)
        default: return nil
        }
    }

    /// Docker's name for it, without the maximum.
    public var name: String {
        switch self {
        case .no: "no"
        case .onFailure: "on-failure"
        case .always: "always"
        case .unlessStopped: "unless-stopped"
        }
    }

    public var maximumRetryCount: Int { if case .onFailure(let maximum) = self { maximum } else { 0 } }

    public var description: String { maximumRetryCount > 0 ? "\(name):\(maximumRetryCount)" : name }

    /// - Parameter restarts: how many there were before.
    public func wantsRestart(exitCode: Int32, restarts: Int) -> Bool {
        switch self {
        case .no: false
        case .always, .unlessStopped: true
        case .onFailure(let maximum): exitCode != 0 && (maximum == 0 || restarts < maximum)
        }
    }
}

extension RestartPolicy: JSONDocument {
    public init(json: JSON) throws(JSONError) {
        let text = try String(json: json)
        guard let policy = RestartPolicy(parsing: text) else {
            throw JSONError("unknown restart policy \"\(text)\"")
        }
        self = policy
    }
    public var json: JSON { .string(description) }
}

/// The growing pause before a restart: 100 ms, doubled each time up to a
/// minute, and 100 ms again after a run of 10 seconds or more.
struct RestartDelay {
    private(set) var milliseconds = 0

    mutating func next(ranSeconds: Int64) -> Int {
        if ranSeconds >= 10 { milliseconds = 0 }
        milliseconds = milliseconds == 0 ? 100 : min(milliseconds * 2, 60_000)
        return milliseconds
    }
}
