/// Who is told what the runtime says beside its results.
public struct RuntimeReporter: Sendable {
    /// What was asked for and is left out.
    public var warn: @Sendable (String) -> Void
    /// What is being done, step by step; nil when nobody wants to know. It is called in the
    /// container's process too, until that executes its command.
    public var debug: (@Sendable (String) -> Void)?
    /// What `debug` writes to: a process that closes what it does not need keeps this.
    public var debugDescriptor: Int32?
    /// What keeps the steps of the next container or process, and their times; nil keeps none.
    public var trace: Trace?

    public init(warn: @escaping @Sendable (String) -> Void = { _ in }) { self.warn = warn }
}
