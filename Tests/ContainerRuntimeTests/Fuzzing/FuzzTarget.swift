import JSONText
import LinuxSystem
import OCISpec

@testable import ContainerRuntime

/// What reads bytes that others wrote. Any input may be refused by an error; a crash, or a promise
/// that is not kept (`precondition`), is a finding.
///
/// `scripts/fuzz` links this file with libFuzzer; the tests run it on the kept corpus.
enum FuzzTarget: String, CaseIterable {
    case config, id, path, mount

    func run(_ bytes: [UInt8]) {
        switch self {
        case .config: Self.config(bytes)
        case .id: Self.id(String(decoding: bytes, as: UTF8.self))
        case .path: Self.path(String(decoding: bytes, as: UTF8.self))
        case .mount: Self.mount(String(decoding: bytes, as: UTF8.self))
        }
    }

    /// A whole config.json, as far as a container's plans are made from it.
    private static func config(_ bytes: [UInt8]) {
        guard let json = try? JSON(parsing: bytes, refusingNUL: true) else { return }
        let text = json.bytes()
        guard let again = try? JSON(parsing: text, refusingNUL: true) else {
            preconditionFailure("what was written cannot be read")
        }
        precondition(again == json)
        if let process = json["process"], let spec = try? ProcessSpec(json: process) {
            _ = try? ProcessPlan(spec, LinuxSpec(), seccomp: nil, preservedDescriptors: 0)
            _ = try? CPUAffinity.Plan(spec.execCPUAffinity)
        }
        _ = try? LinuxResources(json: json)
        guard let config = try? RuntimeConfig(json: json) else { return }
        let written = config.json
        guard let second = try? RuntimeConfig(json: written) else {
            preconditionFailure("a configuration that was written cannot be read")
        }
        precondition(second.json == written)
        for spec in config.mounts {
            guard let request = try? MountRequest(spec, bundle: "/bundle", rootfs: "/bundle/rootfs") else {
                continue
            }
            check(clean: request.destination)
        }
        guard let linux = config.linux else { return }
        if let profile = linux.seccomp { _ = try? SeccompFilter.compile(profile) }
        if let process = config.process {
            _ = try? ProcessPlan(process, linux, seccomp: nil, preservedDescriptors: 0)
        }
        for name in linux.sysctl.keys { check(sysctl: name) }
        if let path = linux.cgroupsPath { check(cgroup: path) }
        if let rules = linux.resources?.devices { _ = try? DeviceRules(rules) }
    }

    /// A container's name, which becomes a directory's.
    private static func id(_ text: String) {
        guard (try? StateDirectory.checkID(text)) != nil else { return }
        precondition((1...255).contains(text.utf8.count) && text != "." && text != "..")
        precondition(text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") })
    }

    private static func path(_ text: String) {
        let clean = Rootfs.clean(text)
        check(clean: clean)
        precondition(Rootfs.clean(clean) == clean)
        let (directory, name) = Rootfs.split(clean)
        check(clean: directory)
        precondition(!name.utf8.contains(UInt8(ascii: "/")))
        check(sysctl: text)
        check(cgroup: text)
        _ = NumberSet(list: text)
        _ = CgroupLayout.unescape(Substring(text))
    }

    /// A destination, a type, a source and options, a line each.
    private static func mount(_ text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard lines.count > 2 else { return }
        let options = Array(lines.dropFirst(3))
        let parsed = MountOptions(options)
        let accessTime = UInt64(MOUNT_ATTR__ATIME)
        for attributes in [parsed.attributes, parsed.recursiveAttributes] {
            precondition(attributes.added & attributes.cleared & ~accessTime == 0)
        }
        precondition(parsed.data.allSatisfy { !$0.key.utf8.contains(UInt8(ascii: "=")) })
        let spec = MountSpec(destination: lines[0], type: lines[1], source: lines[2], options: options)
        guard let request = try? MountRequest(spec, bundle: "/bundle", rootfs: "/bundle/rootfs") else {
            return
        }
        check(clean: request.destination)
        precondition(request.destination.utf8.count > 1)
        if request.options.isBind, !request.options.isRemount {
            precondition(request.source.utf8.first == UInt8(ascii: "/"))
        }
    }

    // MARK: - Promises

    /// As the kernel splits it, no component leads elsewhere.
    private static func check(clean path: String) {
        precondition(path.utf8.first == UInt8(ascii: "/"))
        guard path.utf8.count > 1 else { return }
        checkComponents(path.utf8.dropFirst())
    }

    private static func check(sysctl name: String) {
        if let path = try? Sysctl.path(name) { checkComponents(path.utf8[...]) }
    }

    private static func check(cgroup path: String) {
        if let path = try? CgroupPath(path), !path.isRoot { checkComponents(path.relative.utf8[...]) }
    }

    private static func checkComponents(_ path: Substring.UTF8View) {
        for part in path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            precondition(!part.isEmpty && !part.elementsEqual(".".utf8) && !part.elementsEqual("..".utf8))
        }
    }
}
