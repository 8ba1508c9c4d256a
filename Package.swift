// swift-tools-version: 6.2
import PackageDescription

// One target a room; a room imports only rooms on lower floors (docs/architecture.md).
// No package dependency: what is not ours comes as a C library from the distribution.

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("ExistentialAny"),
    .treatAllWarnings(as: .error),
    // Each function can be placed, or left out, by itself; and generic types are made by what the
    // compiler knows of them, not by their names, which would have to be read and looked up: a
    // quarter of the instructions of apus-runtime.
    .unsafeFlags(
        [
            "-Xfrontend", "-function-sections", "-Xfrontend",
            "-disable-concrete-type-metadata-mangled-name-accessors",
        ], .when(configuration: .release)),
]

/// The programs on the runtime floor are static: they start in under a
/// millisecond and need nothing from the rootfs or the host's library path.
let staticExecutable: [LinkerSetting] = [
    .unsafeFlags(["-static-executable", "-Xlinker", "--gc-sections"]),
    // What starting a container calls stands together, so that fewer pages are brought in
    // (scripts/order-functions).
    .unsafeFlags(
        [
            "-use-ld=lld", "-Xlinker", "--no-warn-symbol-ordering", "-Xlinker",
            "--symbol-ordering-file=\(Context.packageDirectory)/Benchmarks/functions.order",
        ], .when(configuration: .release)),
]

/// At an address of its own, as the static programs are: a program that can be loaded anywhere has
/// 48,000 pointers to be changed, in 200 pages, before its first instruction. Libraries, heap and
/// stacks are where chance puts them.
let fixedExecutable: [LinkerSetting] = [
    .unsafeFlags(["-Xclang-linker", "-no-pie"], .when(configuration: .release))
]

func room(
    _ name: String, _ dependencies: [Target.Dependency] = [], linking: [LinkerSetting] = []
) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict, linkerSettings: linking)
}

func program(
    _ name: String, _ dependencies: [Target.Dependency], linking: [LinkerSetting] = []
) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, swiftSettings: strict, linkerSettings: linking)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let package = Package(
    name: "apus",
    products: [
        .executable(name: "apus", targets: ["apus"]),
        .executable(name: "apus-runtime", targets: ["apus-runtime"]),
        .executable(name: "apus-monitor", targets: ["apus-monitor"]),
        .executable(name: "apus-init", targets: ["apus-init"]),
    ],
    targets: [
        // Floor 0: C, only what Swift cannot import, and the distribution's C libraries.
        .target(name: "CLinux"),
        .systemLibrary(name: "COpenSSL", path: "Sources/System/COpenSSL", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CISAL", path: "Sources/System/CISAL", providers: [.apt(["libisal-dev"])]),
        .systemLibrary(name: "CZstd", path: "Sources/System/CZstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CLzma", path: "Sources/System/CLzma", providers: [.apt(["liblzma-dev"])]),
        .systemLibrary(name: "CBZip2", path: "Sources/System/CBZip2", providers: [.apt(["libbz2-dev"])]),
        .systemLibrary(name: "CYAML", path: "Sources/System/CYAML", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(
            name: "CSodium", path: "Sources/System/CSodium", providers: [.apt(["libsodium-dev"])]),
        .systemLibrary(
            name: "CSQLite", path: "Sources/System/CSQLite", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(
            name: "CCurl", path: "Sources/System/CCurl", providers: [.apt(["libcurl4-openssl-dev"])]),

        // Floor 1
        room("JSONText"),
        room("LinuxSystem", ["CLinux"]),
        room("OCISpec", ["JSONText"]),
        room(
            "LayerArchive", ["LinuxSystem", "COpenSSL", "CISAL", "CZstd", "CLzma", "CBZip2"],
            linking: [
                .linkedLibrary(":libcrypto.a"), .linkedLibrary("isal"), .linkedLibrary(":libzstd.a"),
                .linkedLibrary(":liblzma.a"), .linkedLibrary(":libbz2.a"),
            ]),
        room("YAMLText", ["JSONText", "CYAML"], linking: [.linkedLibrary(":libyaml.a")]),
        room("CommandGrammar"),
        room("GoTemplate", ["JSONText"]),

        // Floor 2
        room("ContainerRuntime", ["LinuxSystem", "JSONText", "OCISpec"]),
        room(
            "ContainerStorage", ["LinuxSystem", "JSONText", "OCISpec", "LayerArchive", "CSQLite"],
            linking: [.linkedLibrary(":libsqlite3.a"), .linkedLibrary("m")]),
        room("RegistryClient", ["LinuxSystem", "JSONText", "OCISpec", "LayerArchive", "CCurl"]),
        room(
            "ImageTrust", ["LinuxSystem", "JSONText", "YAMLText", "LayerArchive", "COpenSSL", "CSodium"],
            linking: [.linkedLibrary(":libsodium.a")]),

        // Floor 3
        room(
            "ContainerImage",
            [
                "LinuxSystem", "JSONText", "OCISpec", "LayerArchive", "ContainerStorage", "RegistryClient",
                "YAMLText", "ImageTrust",
            ]),
        room("ContainerNetwork", ["LinuxSystem", "JSONText"]),
        room("ContainerMonitor", ["LinuxSystem", "JSONText", "OCISpec", "ContainerRuntime"]),

        // Floor 5
        room(
            "ContainerEngine",
            [
                "LinuxSystem", "JSONText", "OCISpec", "LayerArchive", "ContainerRuntime",
                "ContainerStorage", "ContainerImage", "ContainerNetwork", "ContainerMonitor",
            ]),

        // Floor 6: faces
        program(
            "apus",
            [
                "LinuxSystem", "JSONText", "OCISpec", "CommandGrammar", "GoTemplate", "LayerArchive",
                "ContainerStorage", "ContainerImage", "ContainerNetwork", "ContainerMonitor",
                "ContainerEngine", "ImageTrust",
            ],
            linking: fixedExecutable),
        program(
            "apus-runtime",
            ["LinuxSystem", "JSONText", "OCISpec", "CommandGrammar", "ContainerRuntime"],
            linking: staticExecutable),
        program(
            "apus-monitor",
            ["LinuxSystem", "JSONText", "OCISpec", "ContainerRuntime", "ContainerMonitor"],
            linking: staticExecutable),
        program("apus-init", ["LinuxSystem"], linking: staticExecutable),

        // What the tests of the ways for older kernels run under.
        .executableTarget(
            name: "older-kernel", dependencies: ["LinuxSystem"], path: "Tests/OlderKernel",
            swiftSettings: strict),
        // Kills a command at a system call that changes the disk.
        .executableTarget(
            name: "crash-point", dependencies: ["LinuxSystem", "CLinux"], path: "Tests/CrashPoint",
            swiftSettings: strict),
        // What fuzzing has found, for the tests of the rooms that are fuzzed.
        .target(
            name: "FuzzCorpus", dependencies: ["LinuxSystem"], path: "Tests/FuzzCorpus", swiftSettings: strict
        ),
        // A server that misbehaves as a test wants, for the rooms that speak to registries.
        .target(
            name: "ScriptedHTTP", dependencies: ["LinuxSystem"], path: "Tests/ScriptedHTTP",
            swiftSettings: strict
        ),

        tests("JSONTextTests", ["JSONText"]),
        tests("YAMLTextTests", ["JSONText", "YAMLText"]),
        tests("ImageTrustTests", ["ImageTrust", "LinuxSystem", "JSONText", "LayerArchive"]),
        tests(
            "ContainerEngineTests",
            ["ContainerEngine", "ContainerNetwork", "ContainerMonitor", "JSONText", "LinuxSystem", "OCISpec"]),
        tests(
            "RegistryClientTests",
            ["LinuxSystem", "JSONText", "OCISpec", "LayerArchive", "RegistryClient", "ScriptedHTTP"]),
        tests(
            "ContainerStorageTests",
            ["LinuxSystem", "JSONText", "OCISpec", "LayerArchive", "ContainerStorage"]),
        tests(
            "ContainerImageTests",
            [
                "LinuxSystem", "JSONText", "OCISpec", "LayerArchive", "ContainerStorage", "RegistryClient",
                "ImageTrust", "ContainerImage", "FuzzCorpus", "ScriptedHTTP",
            ]),
        tests("OCISpecTests", ["JSONText", "OCISpec"]),
        tests("CommandGrammarTests", ["CommandGrammar"]),
        tests("LayerArchiveTests", ["LayerArchive", "LinuxSystem", "JSONText", "FuzzCorpus"]),
        tests("GoTemplateTests", ["JSONText", "GoTemplate"]),
        tests("NetlinkTests", ["LinuxSystem"]),
        tests("ContainerNetworkTests", ["ContainerNetwork", "LinuxSystem", "JSONText"]),
        tests("EndToEndTests", ["LinuxSystem", "JSONText", "LayerArchive"]),
        tests("ContainerMonitorTests", ["ContainerMonitor", "LinuxSystem", "JSONText"]),
        tests(
            "ContainerRuntimeTests",
            ["ContainerRuntime", "LinuxSystem", "JSONText", "OCISpec", "FuzzCorpus"]),
    ],
    swiftLanguageModes: [.v6]
)
