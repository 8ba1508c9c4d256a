import LinuxSystem
import OCISpec

/// An OCI runtime: makes containers from bundles, and keeps their states in
/// directories below `root`.
///
///     let runtime = Runtime(root: "/run/apus-runtime")
///     let container = try runtime.create("web", bundle: "/bundles/web")
///     try runtime.start("web")
///     // … wait for container.pidfd, and take the status by waitpid …
///     try runtime.delete("web")
///
/// The calling process must have one thread: it is cloned, and the copy goes on
/// in this code (see `Clone`). It is not dumpable afterwards.
public final class Runtime: Sendable {
    public let root: String
    let reporter: RuntimeReporter
    let rootless: Rootless

    /// What the reporter keeps.
    public var trace: Trace? { reporter.trace }

    /// - Parameter root: an absolute path; it is made when the first container is.
    public init(
        root: String, reporter: RuntimeReporter = RuntimeReporter(), rootless: Rootless = Rootless()
    ) {
        self.root = root
        self.reporter = reporter
        self.rootless = rootless
    }

    /// Keeps the container's processes from looking into this process, or into
    /// the copy of it that enters the container's namespaces: without this they
    /// could open what it has open, and its program, through /proc
    /// (CVE-2016-9962). The copy inherits it; execve(2) ends it.
    static func hide() {
        // Without rights over init's user namespace, our own files in /proc would be out of reach.
        guard geteuid() == 0 else { return }
        _ = linux_syscall(Int(SYS_prctl), Int(PR_SET_DUMPABLE), 0, 0, 0, 0, 0)
    }
}
