import JSONText
import LinuxSystem
import OCISpec

extension Runtime {
    /// Makes a container from what `checkpoint` has saved, with CRIU. On return its processes run.
    /// When that fails, nothing is left.
    /// - Throws: `.unsupported` without a CRIU that can do it.
    public func restore(
        _ id: String, bundle path: String, options: RestoreOptions
    ) throws(RuntimeError) -> CreatedContainer {
        let bundle = try Bundle(path)
        guard let process = bundle.config.process else {
            throw RuntimeError(.invalidConfig, "process must be specified")
        }
        try process.checkTerminal(
            consoleSocket: options.consoleSocket, returnsTerminal: options.returnsTerminal)
        let linux = bundle.config.linux ?? LinuxSpec()
        let images = try CheckpointImages(options.criu, log: RestoreWork.log, making: false)

        let directory = try StateDirectory(creating: id, root: root)
        do throws(RuntimeError) {
            var record = StateRecord(id, of: bundle, noPivot: options.noPivot)
            record.sharesPIDs = !linux.namespaces.contains { $0.type == .pid && $0.path == nil }
            if !process.terminal { record.streams = StandardStreams.pipes([nil, nil, nil]) }
            let cgroups = try planCgroups(linux, record, options.cgroupManager)
            record.cgroup = cgroups.json
            var birth = ContainerBirth(
                directory: directory.raw, record: record, text: bundle.text, cgroups: cgroups,
                resources: linux.resources)
            try birth.register(in: directory, reporter.trace)
            // systemd makes a scope only around a process, which is CRIU's.
            var cgroup =
                cgroups.unit == nil ? try ContainerBirth.complete(cgroups, linux.resources) : nil
            do throws(RuntimeError) {
                var work = try RestoreWork(
                    bundle, options, record,
                    cgroups: CgroupMounts(
                        cgroups, hasNamespace: linux.namespaces.contains { $0.type == .cgroup }),
                    images: images)
                let container = try work.perform(in: directory) { (criu) throws(RuntimeError) in
                    guard let made = cgroup else {
                        cgroup = try ContainerBirth.complete(cgroups, linux.resources, criu)
                        return
                    }
                    do throws(CgroupError) {
                        try made.add(pid: criu)
                    } catch {
                        throw RuntimeError(.system, "unable to apply cgroup configuration: \(error)")
                    }
                }
                try? File.removeDirectory(RestoreWork.rootName, at: directory.raw)
                return container
            } catch {
                try? cgroup?.kill()
                try? cgroup?.delete()
                throw images.explained(error, log: RestoreWork.log)
            }
        } catch {
            try? StateDirectory.remove(id, root: root)
            throw error
        }
    }
}
