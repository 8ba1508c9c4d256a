import ContainerNetwork
import LinuxSystem
import Synchronization

/// A thread that runs a closure.
final class Thread: @unchecked Sendable {
    private var thread = pthread_t()

    init(_ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(Body(body))
        pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
    }

    func join() { pthread_join(thread, nil) }

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
}

/// What several threads came to.
final class Results: Sendable {
    private let state = Mutex<(attachments: [NetworkAttachment], failures: [String])>(([], []))
    func add(_ attachment: NetworkAttachment) { state.withLock { $0.attachments.append(attachment) } }
    func fail(_ failure: String) { state.withLock { $0.failures.append(failure) } }
    var attachments: [NetworkAttachment] { state.withLock { $0.attachments } }
    var failures: [String] { state.withLock { $0.failures } }
}
