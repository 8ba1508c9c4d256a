import ContainerStorage
public import JSONText
import LinuxSystem

extension Engine {
    /// The host and the store, with the members that `docker info` names.
    public func info(version: String, cgroupManager: String) throws(EngineError) -> JSON {
        var name = utsname()
        uname(&name)
        let containers = try list(all: true)
        let running = containers.count { $0.state.isRunning }
        let images = try engineErrors { try store.imageCount() }
        let memory = Int64(sysconf(Int32(_SC_PHYS_PAGES))) * Int64(sysconf(Int32(_SC_PAGESIZE)))
        return [
            "ServerVersion": .string(version), "Containers": .integer(Int64(containers.count)),
            "ContainersRunning": .integer(Int64(running)), "ContainersPaused": 0,
            "ContainersStopped": .integer(Int64(containers.count - running)),
            "Images": .integer(Int64(images)), "Driver": .string(store.driver),
            "DockerRootDir": .string(root),
            "RunRoot": .string(runRoot), "CgroupDriver": .string(cgroupManager),
            "CgroupVersion": CgroupHost.isUnified ? "2" : "1",
            "KernelVersion": .string(text(of: &name.release)),
            "Architecture": .string(text(of: &name.machine)),
            "OSType": "linux", "Name": .string(text(of: &name.nodename)),
            "NCPU": .integer(Int64(sysconf(Int32(_SC_NPROCESSORS_ONLN)))), "MemTotal": .integer(memory),
            "DefaultRuntime": "apus",
        ]
    }

    /// A C array of characters as text.
    private func text<Array>(of array: inout Array) -> String {
        withUnsafeBytes(of: &array) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// The host's name.
    func hostName() -> String {
        var name = utsname()
        uname(&name)
        return text(of: &name.nodename)
    }
}
