internal import LinuxSystem
internal import RegistryClient

/// Loads what it takes to ask a registry, while the caller does something else.
public final class RegistryPreparation {
    private let thread: JoinedThread?

    /// - Parameter sources: nothing is loaded when none of them is a registry's.
    public init(for sources: [ImageSource]) {
        let asksRegistry = sources.contains { if case .registry = $0 { true } else { false } }
        thread = asksRegistry ? try? JoinedThread { RegistryClient.prepare() } : nil
    }

    /// Returns when all is loaded.
    public func finish() { thread?.join() }
}
