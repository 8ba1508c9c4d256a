import LinuxSystem

/// How the monitor has its container made and unmade. All calls are made in
/// a forked worker, may block, and leave the container's first process to be
/// reaped by the monitor, which is the subreaper above the worker.
protocol ContainerRuntimeDriver {
    /// Creates the container's process, which waits for `start`.
    func create(_ stdio: ContainerStdio) throws(MonitorError) -> CreatedProcess
    func start() throws(MonitorError)
    /// Ends what runs of the container and removes what the runtime keeps of
    /// it. No error when there is nothing.
    func delete() throws(MonitorError)
}

/// The container's ends of its pipes; of no meaning with a terminal.
struct ContainerStdio {
    var input: Int32
    var output: Int32
    var error: Int32
}

struct CreatedProcess: ~Copyable {
    var pid: Int32
    /// The pseudo-terminal's master.
    var terminal: Descriptor?
}

extension MonitorRequest {
    var driver: any ContainerRuntimeDriver {
        if let runtime {
            ExternalRuntime(program: runtime, request: self)
        } else {
            BuiltInRuntime(request: self)
        }
    }
}
