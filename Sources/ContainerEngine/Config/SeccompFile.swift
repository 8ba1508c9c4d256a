import ContainerRuntime
import JSONText
import LinuxSystem
import OCISpec

/// A profile in Docker's format (`--security-opt seccomp=FILE`): the OCI
/// section's, with `archMap`, `name` and conditions by capability.
enum SeccompFile {
    static func read(_ path: String, capabilities: Set<String>) throws(EngineError) -> Seccomp {
        do {
            var json = try JSON(parsing: File.read(path, limit: 4 << 20))
            guard case .object(var object) = json else {
                throw JSONError("expected an object, found \(json.kind)")
            }
            if let map = object["archMap"]?.array, !map.isEmpty {
                var architectures: [JSON] = []
                for entry in map where entry["architecture"]?.string == nativeArchitecture {
                    architectures.append(.string(nativeArchitecture))
                    architectures += entry["subArchitectures"]?.array ?? []
                }
                object["architectures"] = .array(architectures)
                object.remove("archMap")
            }
            object["syscalls"] = .array(
                (object["syscalls"]?.array ?? []).compactMap { rule(from: $0, capabilities: capabilities) })
            json = .object(object)
            return try Seccomp(json: json)
        } catch {
            throw EngineError(.invalid, "seccomp profile \(path): \(error)")
        }
    }

    private static var nativeArchitecture: String {
        #if arch(x86_64)
            "SCMP_ARCH_X86_64"
        #elseif arch(arm64)
            "SCMP_ARCH_AARCH64"
        #elseif arch(riscv64)
            "SCMP_ARCH_RISCV64"
        #else
            "SCMP_ARCH_NATIVE"
        #endif
    }

    /// Drops a rule whose conditions do not hold here, and the conditions of one that stays.
    private static func rule(from json: JSON, capabilities: Set<String>) -> JSON? {
        guard case .object(var rule) = json else { return json }
        if let name = rule["name"], rule["names"] == nil { rule["names"] = .array([name]) }
        let includes = rule["includes"]
        let excludes = rule["excludes"]
        for name in ["name", "comment", "includes", "excludes"] { rule.remove(name) }
        func capabilityList(_ json: JSON?) -> [String] { (json?["caps"]?.array ?? []).compactMap(\.string) }
        let architecture = [
            "SCMP_ARCH_X86_64": "amd64", "SCMP_ARCH_AARCH64": "arm64", "SCMP_ARCH_RISCV64": "riscv64",
        ][
            nativeArchitecture]
        func architectures(_ json: JSON?) -> [String] { (json?["arches"]?.array ?? []).compactMap(\.string) }
        if !capabilityList(includes).allSatisfy(capabilities.contains) { return nil }
        if capabilityList(excludes).contains(where: capabilities.contains) { return nil }
        if let architecture {
            let wanted = architectures(includes)
            if !wanted.isEmpty, !wanted.contains(architecture) { return nil }
            if architectures(excludes).contains(architecture) { return nil }
        }
        return .object(rule)
    }
}
