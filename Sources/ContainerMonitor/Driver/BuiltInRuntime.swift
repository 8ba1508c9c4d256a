import ContainerRuntime
import LinuxSystem

/// The runtime library in this program.
struct BuiltInRuntime: ContainerRuntimeDriver {
    let request: MonitorRequest

    private var runtime: Runtime { Runtime(root: request.runtimeRoot) }

    func create(_ stdio: ContainerStdio) throws(MonitorError) -> CreatedProcess {
        let streams: [Int32?] =
            request.terminal ? [nil, nil, nil] : [stdio.input, stdio.output, stdio.error]
        do throws(RuntimeError) {
            var created = try runtime.create(
                request.id, bundle: request.bundle, options: CreateOptions(streams: streams))
            return CreatedProcess(pid: created.pid, terminal: created.takeTerminal())
        } catch {
            throw MonitorError(error)
        }
    }

    func start() throws(MonitorError) {
        do throws(RuntimeError) { try runtime.start(request.id) } catch { throw MonitorError(error) }
    }

    func delete() throws(MonitorError) {
        do throws(RuntimeError) {
            try runtime.delete(request.id, force: true)
        } catch {
            throw MonitorError(error)
        }
    }
}

extension MonitorError {
    fileprivate init(_ error: RuntimeError) {
        let code: Code =
            switch error.exitCode {
            case 127: .commandNotFound
            case 126: .commandNotExecutable
            default: .runtime
            }
        self.init(code, error.description)
    }
}
