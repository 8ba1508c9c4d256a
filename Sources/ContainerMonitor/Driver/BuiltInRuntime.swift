import ContainerRuntime
import LinuxSystem

/// The runtime library in this program.
final class BuiltInRuntime: ContainerRuntimeDriver {
    private let id: String
    private let bundle: String
    private let runtime: Runtime
    private let isSystemdScope: Bool
    /// Between create and start: it tells of a command that cannot be executed.
    private var container: CreatedContainer?

    init(request: MonitorRequest) {
        id = request.id
        bundle = request.bundle
        runtime = Runtime(root: request.runtimeRoot)
        isSystemdScope = request.isSystemdScope
    }

    func create(_ stdio: ContainerStdio) throws(MonitorError) -> CreatedProcess {
        try translated { () throws(RuntimeError) in
            var options = CreateOptions(streams: [stdio.input, stdio.output, stdio.error])
            if isSystemdScope { options.cgroupManager = .ownSystemd }
            var container = try runtime.create(id, bundle: bundle, options: options)
            let created = CreatedProcess(pid: container.pid, terminal: container.takeTerminal())
            self.container = consume container
            return created
        }
    }

    func start() throws(MonitorError) {
        guard var container = container.take() else { return }
        try translated { () throws(RuntimeError) in try runtime.start(id, &container) }
    }

    func delete() throws(MonitorError) {
        try translated { () throws(RuntimeError) in try runtime.delete(id, force: true) }
    }

    private func translated<Value: ~Copyable>(
        _ body: () throws(RuntimeError) -> Value
    ) throws(MonitorError) -> Value {
        do throws(RuntimeError) {
            return try body()
        } catch {
            switch error.code {
            case .commandNotFound: throw MonitorError(.commandNotFound, error.description)
            case .commandNotExecutable: throw MonitorError(.commandNotExecutable, error.description)
            default: throw MonitorError(.runtime, error.description)
            }
        }
    }
}
