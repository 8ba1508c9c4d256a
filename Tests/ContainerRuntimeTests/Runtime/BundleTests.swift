import JSONText
import LinuxSystem
import OCISpec
import Testing

@testable import ContainerRuntime

@Suite struct BundleTests {
    private func complaint(_ change: (inout RuntimeConfig) -> Void) throws -> String? {
        let fixture = try RuntimeFixture()
        change(&fixture.config)
        try fixture.save()
        do throws(RuntimeError) {
            _ = try Bundle(fixture.directory)
            return nil
        } catch {
            return error.description
        }
    }

    @Test func configsThatCannotWorkAreRefused() throws {
        #expect(try complaint { _ in } == nil)
        #expect(try complaint { $0.root = nil } == "root must be specified")
        #expect(try complaint { $0.root?.path = "/does/not/exist" }?.hasPrefix("invalid rootfs") == true)
        #expect(try complaint { $0.ociVersion = "2.0" }?.contains("2.0") == true)
        #expect(
            try complaint { $0.linux?.namespaces.append(LinuxNamespace(.uts)) }?.contains("duplicated ns uts")
                == true)
        #expect(try complaint { $0.linux?.namespaces.removeAll { $0.type == .uts } }?.contains("UTS") == true)
        #expect(
            try complaint { $0.linux?.namespaces.removeAll { $0.type == .mount } }?.contains("MNT") == true)
        #expect(try complaint { $0.linux?.namespaces.append(LinuxNamespace(.user)) } != nil)
        #expect(
            try complaint { $0.linux?.uidMappings = [IDMapping(containerID: 0, hostID: 0, size: 1)] } != nil)
        #expect(try complaint { $0.linux?.maskedPaths = ["relative"] } != nil)
    }

    @Test func relativeRootsAreTheBundles() throws {
        let fixture = try RuntimeFixture()
        fixture.config.root?.path = "rootfs"
        try fixture.save()
        #expect(try Bundle(fixture.directory).rootfs == fixture.rootfs)
    }

    @Test func processesThatCannotWorkAreRefused() throws {
        func complaint(_ change: (inout ProcessSpec) -> Void) -> String? {
            var spec = ProcessSpec(args: ["/bin/true"])
            change(&spec)
            do throws(RuntimeError) {
                _ = try ProcessPlan(spec, LinuxSpec(), seccomp: nil, preservedDescriptors: 0)
                return nil
            } catch {
                return error.description
            }
        }
        #expect(complaint { _ in } == nil)
        #expect(complaint { $0.args = [] } != nil)
        #expect(complaint { $0.args = [""] } != nil)
        #expect(complaint { $0.cwd = "relative" } != nil)
        #expect(complaint { $0.cwd = "" } == "Cwd property must not be empty")
        #expect(complaint { $0.env = ["A=\0"] } != nil)
        #expect(complaint { $0.rlimits = [Rlimit(type: "RLIMIT_X", soft: 0, hard: 0)] } != nil)
        #expect(complaint { $0.capabilities = Capabilities(bounding: ["CAP_FROM_THE_FUTURE"]) } == nil)
    }
}
