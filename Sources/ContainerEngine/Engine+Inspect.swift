import ContainerMonitor
import ContainerNetwork
import ContainerStorage
public import JSONText
import LayerArchive
import LinuxSystem
import OCISpec

extension Engine {
    /// The container as `docker inspect` shows it (Engine API, ContainerInspect).
    /// - Parameter sized: with what its files take.
    public func inspect(_ record: ContainerRecord, sized: Bool) throws(EngineError) -> JSON {
        guard sized, var document = try inspect(record).object else { return try inspect(record) }
        let size = try size(of: record)
        document["SizeRw"] = .integer(size.own)
        document["SizeRootFs"] = .integer(size.total)
        return .object(document)
    }

    private func inspect(_ record: ContainerRecord) throws(EngineError) -> JSON {
        let spec = record.spec
        let state = try state(of: record)
        let defaults = (try? imageConfig(Digest(parsing: record.imageID)))?.config ?? ContainerDefaults()
        let arguments = RuntimeConfigBuilder.arguments(spec: spec, defaults: defaults)
        return [
            "Id": .string(record.id), "Created": .string(record.created.description),
            "Path": .string(arguments.first ?? ""), "Args": Array(arguments.dropFirst()).json,
            "State": stateDocument(state), "Image": .string(record.imageID),
            "ImageName": .string(record.imageName),
            "ResolvConfPath": .string("\(directory(of: record.id))/resolv.conf"),
            "HostnamePath": .string("\(directory(of: record.id))/hostname"),
            "HostsPath": .string("\(directory(of: record.id))/hosts"),
            "LogPath": .string(spec.logOptions["path"] ?? "\(directory(of: record.id))/container.log"),
            "Name": .string("/" + record.name), "RestartCount": .integer(Int64(state.restartCount)),
            "Driver": .string(store.driver), "Platform": "linux",
            "OCIRuntime": .string(spec.runtime ?? "apus-runtime"),
            "Bundle": .string(directory(of: record.id)),
            "Mounts": try mountDocuments(spec), "HostConfig": hostConfig(spec),
            "Config": config(record, defaults),
            "NetworkSettings": try networkSettings(record, state, defaults),
        ]
    }

    private func stateDocument(_ state: ContainerState) -> JSON {
        [
            "Status": .string(state.status.rawValue),
            // Docker's is true between two runs of a restarting container, too.
            "Running": .bool(state.isRunning || state.status == .restarting), "Paused": false,
            "Restarting": .bool(state.status == .restarting), "OOMKilled": .bool(state.oomKilled),
            "Dead": false, "Pid": .integer(Int64(state.pid)), "MonitorPid": .integer(Int64(state.monitorPid)),
            "ExitCode": .integer(Int64(state.exitCode)), "Error": .string(state.reason),
            "StartedAt": .string(state.startedAt?.description ?? Self.never),
            "FinishedAt": .string(state.isRunning ? Self.never : state.finishedAt?.description ?? Self.never),
        ]
    }

    /// Go's zero time.
    private static let never = "0001-01-01T00:00:00Z"

    private func mountDocuments(_ spec: ContainerSpec) throws(EngineError) -> JSON {
        .array(
            spec.mounts.map { mount in
                var object: JSONObject = ["Type": .string(mount.kind.rawValue)]
                if mount.kind == .volume {
                    object["Name"] = .string(mount.source)
                    object["Source"] = .string((try? store.volume(mount.source))??.path ?? "")
                    object["Driver"] = "local"
                } else {
                    object["Source"] = .string(mount.source)
                }
                object["Destination"] = .string(mount.destination)
                object["Mode"] = .string(mount.options.joined(separator: ","))
                object["RW"] = .bool(!mount.readOnly)
                object["Propagation"] = .string(
                    mount.options.first {
                        $0.hasSuffix("private") || $0.hasSuffix("shared") || $0.hasSuffix("slave")
                    }
                        ?? "rprivate")
                return .object(object)
            })
    }

    private func hostConfig(_ spec: ContainerSpec) -> JSON {
        let resources = spec.resources
        var bindings = JSONObject()
        for port in spec.ports {
            let key = "\(port.containerPort)/\(port.proto.rawValue)"
            let binding: JSON = [
                "HostIp": .string(port.hostIP ?? ""),
                "HostPort": .string(port.hostPort.map(String.init) ?? ""),
            ]
            bindings[key] = .array((bindings[key]?.array ?? []) + [binding])
        }
        return [
            "Binds": .array(
                spec.mounts.filter { $0.kind != .tmpfs }.map {
                    .string("\($0.source):\($0.destination)\($0.readOnly ? ":ro" : "")")
                }),
            "LogConfig": ["Type": .string(spec.logDriver ?? "json-file"), "Config": spec.logOptions.json],
            "NetworkMode": .string(spec.network.text), "PortBindings": .object(bindings),
            "RestartPolicy": [
                "Name": .string(spec.restart.name),
                "MaximumRetryCount": .integer(Int64(spec.restart.maximumRetryCount)),
            ],
            "AutoRemove": .bool(spec.autoRemove), "CapAdd": spec.capAdd.json, "CapDrop": spec.capDrop.json,
            "CgroupnsMode": .string(spec.cgroupMode.text), "Dns": spec.dns.json,
            "DnsOptions": spec.dnsOptions.json,
            "DnsSearch": spec.dnsSearch.json, "ExtraHosts": spec.extraHosts.json,
            "GroupAdd": spec.additionalGroups.json,
            "IpcMode": .string(spec.ipcMode.text),
            "PidMode": .string(spec.pidMode == .own ? "" : spec.pidMode.text),
            "UTSMode": .string(spec.utsMode == .own ? "" : spec.utsMode.text),
            "Privileged": .bool(spec.privileged),
            "PublishAllPorts": .bool(spec.publishAll), "ReadonlyRootfs": .bool(spec.readOnlyRootfs),
            "SecurityOpt": .array(
                (spec.noNewPrivileges ? ["no-new-privileges"] : [])
                    + (spec.seccompProfile.map { [.string("seccomp=\($0)")] } ?? [])),
            "ShmSize": spec.shmSize.json, "Init": .bool(spec.useInit),
            "Memory": .integer(resources.memory ?? 0),
            "MemorySwap": .integer(resources.memoryAndSwap ?? 0),
            "MemorySwappiness": resources.memorySwappiness?.json ?? .null,
            "OomKillDisable": .bool(resources.oomKillDisable ?? false),
            "OomScoreAdj": .integer(Int64(spec.oomScoreAdjustment ?? 0)),
            "BlkioWeight": .integer(Int64(resources.blkioWeight ?? 0)),
            "MemoryReservation": .integer(resources.memoryReservation ?? 0),
            "NanoCpus": .integer(resources.nanoCPUs ?? 0), "CpuShares": (resources.cpuShares ?? 0).json,
            "CpuPeriod": (resources.cpuPeriod ?? 0).json, "CpuQuota": .integer(resources.cpuQuota ?? 0),
            "CpusetCpus": .string(resources.cpusetCPUs ?? ""),
            "CpusetMems": .string(resources.cpusetMems ?? ""),
            "PidsLimit": .integer(resources.pidsLimit ?? 0), "CgroupParent": .string(spec.cgroupParent ?? ""),
            "Runtime": .string(spec.runtime ?? "apus"),
            "Sysctls": spec.sysctls.json, "UsernsMode": .string(usernsMode(spec)),
            "VolumeDriver": "", "VolumesFrom": .null,
            "Links": .null,
            "Tmpfs": .object(
                spec.mounts.filter { $0.kind == .tmpfs }.reduce(into: JSONObject()) {
                    $0[$1.destination] = .string($1.options.joined(separator: ","))
                }),
            "Devices": .array(
                spec.devices.map {
                    [
                        "PathOnHost": .string($0.hostPath), "PathInContainer": .string($0.containerPath),
                        "CgroupPermissions": .string($0.permissions),
                    ]
                }),
            "Ulimits": .array(
                spec.ulimits.map { ["Name": .string($0.name), "Soft": $0.soft.json, "Hard": $0.hard.json] }),
        ]
    }

    private func usernsMode(_ spec: ContainerSpec) -> String {
        switch spec.userMode {
        case .container, .path: spec.userMode.text
        case .standard, .auto: spec.uidMappings.isEmpty ? "" : "private"
        }
    }

    private func config(_ record: ContainerRecord, _ defaults: ContainerDefaults) -> JSON {
        let spec = record.spec
        var exposed = JSONObject()
        for port in exposedPortNames(spec, defaults) { exposed[port] = [:] }
        let names = Set(spec.environment.compactMap { $0.split(separator: "=").first })
        let environment =
            spec.environment
            + defaults.env.filter { entry in
                entry.split(separator: "=").first.map { !names.contains($0) } ?? true
            }
        return [
            "Hostname": .string(hostname(of: record)), "Domainname": .string(spec.domainname ?? ""),
            "User": .string(spec.user ?? defaults.user), "Tty": .bool(spec.terminal),
            "OpenStdin": .bool(spec.openStdin), "Env": environment.json,
            "Cmd": (spec.command.isEmpty && spec.entrypoint == nil ? defaults.cmd : spec.command).json,
            "Image": .string(record.imageName),
            "WorkingDir": .string(spec.workingDirectory ?? defaults.workingDir),
            "Entrypoint": (spec.entrypoint ?? defaults.entrypoint).json, "ExposedPorts": .object(exposed),
            "Labels": defaults.labels.merging(spec.labels) { $1 }.json, "Annotations": spec.annotations.json,
            "StopSignal": .string(
                spec.stopSignal ?? SignalName.number(defaults.stopSignal).map(SignalName.name) ?? "SIGTERM"),
            "StopTimeout": .integer(Int64(spec.stopTimeout ?? Self.defaultStopTimeout)),
        ]
    }

    private func networkSettings(
        _ record: ContainerRecord, _ state: ContainerState, _ defaults: ContainerDefaults
    ) throws(EngineError) -> JSON {
        let attachment = state.isRunning ? try attachment(of: record.id) : nil
        var ports = JSONObject()
        // An exposed port that is not published has no binding.
        if attachment != nil {
            for port in exposedPortNames(record.spec, defaults) { ports[port] = .null }
        }
        for port in attachment?.ports ?? [] {
            let key = "\(port.containerPort)/\(port.proto.rawValue)"
            let binding: JSON = [
                "HostIp": .string(port.hostIP ?? "0.0.0.0"),
                "HostPort": .string(port.hostPort.map(String.init) ?? ""),
            ]
            ports[key] = .array((ports[key]?.array ?? []) + [binding])
        }
        let members: JSONObject = [
            "IPAddress": .string(attachment?.address ?? ""),
            "IPPrefixLen": .integer(Int64(attachment?.prefixLength ?? 0)),
            "Gateway": .string(attachment?.gateway ?? ""),
            "MacAddress": .string(attachment?.hardwareAddress ?? ""), "IPv6Gateway": "",
            "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,
        ]
        var settings = members
        settings["Ports"] = .object(ports)
        settings["SandboxKey"] = .string(state.pid > 0 ? "/proc/\(state.pid)/ns/net" : "")
        settings["Networks"] = .object([record.spec.network.text: .object(members)])
        return .object(settings)
    }
}
