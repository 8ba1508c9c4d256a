import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// Images go from tool to tool, there and back.
    @Suite(.ours) struct PeersTests {
        private static func podman(_ host: Host) -> [String] {
            [
                "podman", "--root", host.path("p"), "--runroot", host.path("pr"), "--cgroup-manager",
                "cgroupfs", "--runtime", Programs.runtime,
            ]
        }

        private static func podman(_ host: Host, _ arguments: String..., input: ProgramRun.Input = .nothing)
            throws -> Finished
        {
            try ProgramRun.run(
                podman(host) + arguments, input: input,
                environment: host.environment)
        }

        @Test(.needs("podman", "runc")) func podmanRunsWhatWeSave() throws {
            try Host.with { host in
                try host.ok(
                    "load",
                    input: .bytes(try ImagesTests.marked("ours").dockerArchive(tags: ["localhost/ours:1"])))
                for format in ["docker-archive", "oci-archive"] {
                    let file = host.path("\(format).tar")
                    try host.ok("save", "--format", format, "-o", file, "localhost/ours:1")
                    let loaded = try Self.podman(host, "load", "-i", file)
                    #expect(loaded.exit == 0, "\(loaded)")
                    let finished = try Self.podman(
                        host, "run", "--rm", "--network", "none", "--pull", "never", "localhost/ours:1",
                        "cat", "/marker")
                    #expect(finished.text == "ours", "\(finished)")
                    _ = try Self.podman(host, "rmi", "-f", "localhost/ours:1")
                }
                _ = try Self.podman(host, "system", "reset", "-f")
            }
        }

        @Test(.needs("podman", "runc")) func weRunWhatPodmanSaves() throws {
            try Host.with { host in
                #expect(
                    try Self.podman(
                        host, "load",
                        input: .bytes(
                            try ImagesTests.marked("theirs").dockerArchive(tags: ["localhost/theirs:1"]))
                    ).exit == 0)
                for format in ["docker-archive", "oci-archive", "oci-dir", "docker-dir"] {
                    let target = host.path(format)
                    let saved = try Self.podman(
                        host, "save", "-q", "--format", format, "-o", target, "localhost/theirs:1")
                    try #require(saved.exit == 0, "\(saved)")
                    let id: String
                    switch format {
                    case "oci-dir": id = try host.ok("pull", "-q", "oci:\(target)")
                    case "docker-dir": id = try host.ok("pull", "-q", "dir:\(target)")
                    default:
                        try host.ok("load", "-i", target)
                        id = try host.ok("images", "-q")
                    }
                    #expect(try ImagesTests.marker(host, id) == "theirs", "\(format)")
                    try host.ok("rmi", "-f", id)
                }
                _ = try Self.podman(host, "system", "reset", "-f")
            }
        }

        @Test(.needs("buildah")) func weRunWhatBuildahBuilds() throws {
            try Host.with { host in
                let buildah = [
                    "buildah", "--root", host.path("b"), "--runroot", host.path("br"), "--storage-driver",
                    "vfs",
                ]
                func run(_ arguments: String...) throws -> String {
                    let finished = try ProgramRun.run(buildah + arguments, environment: host.environment)
                    guard finished.exit == 0 else { throw Unexpected("\(finished)") }
                    return finished.text
                }
                let container = try run("from", "scratch")
                _ = try run("add", container, try Fixtures.busyboxTar(), "/")
                try host.write("buildah\n", to: "marker")
                _ = try run("copy", container, host.path("marker"), "/marker")
                _ = try run(
                    "config", "--entrypoint", #"["/bin/cat"]"#, "--cmd", "/marker", "--user", "bob", container
                )
                for format in ["oci", "docker"] {
                    _ = try run(
                        "commit", "-q", "--format", format, container,
                        "\(format == "oci" ? "oci" : "docker-archive"):\(host.path(format)):localhost/built:1"
                    )
                    let id: String
                    if format == "oci" {
                        id = try host.ok("pull", "-q", "oci:\(host.path(format)):localhost/built:1")
                    } else {
                        try host.ok("load", "-i", host.path(format))
                        id = "localhost/built:1"
                    }
                    #expect(try host.ok("run", "--rm", "--network", "none", id) == "buildah", "\(format)")
                    try host.ok("rmi", "-f", id)
                }
                _ = try run("rm", "--all")
            }
        }

        @Test(.needs("skopeo", "umoci")) func skopeoAndUmociReadOurStore() throws {
            try Host.with { host in
                try host.ok(
                    "load",
                    input: .bytes(try ImagesTests.marked("store").dockerArchive(tags: ["localhost/store:1"])))
                try host.ok("save", "--format", "oci-dir", "-o", host.path("saved"), "localhost/store:1")
                try ProgramRun.tool(
                    "skopeo", "copy", "--insecure-policy", "-q", "oci:\(host.path("saved"))",
                    "dir:\(host.path("dir"))")
                let listed = try ProgramRun.tool("umoci", "list", "--layout", host.path("saved"))
                #expect(!listed.isEmpty)
                #expect(File.exists("\(host.root)/oci-layout"))
            }
        }

        @Test(.needs("debootstrap", "docker-registry", "skopeo", "curl"))
        func nginxOfADebianRoot() throws {
            try Host.with { host in
                let image = "localhost/debian-nginx:12"
                try host.ok(
                    "import", "--change", #"CMD ["nginx", "-g", "daemon off; error_log stderr; "]"#,
                    "--change",
                    "ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin", try Fixtures.debianTar(), image,
                    timeout: .seconds(300))
                func serve(_ image: String) throws {
                    let port = try Ports.free()
                    // Its access log goes to a file by Debian's configuration: to standard output here.
                    let id = try host.detached(
                        "-p", "\(port):80", image, "sh", "-c",
                        "ln -sf /dev/stdout /var/log/nginx/access.log; exec nginx -g 'daemon off;'")
                    let page = NetworkTests.get("http://127.0.0.1:\(port)/?from-the-host")
                    #expect(page?.contains("nginx") ?? false)
                    try host.eventually("the access log") {
                        try host.ok("logs", id).contains("GET /?from-the-host HTTP/1.1\" 200")
                    }
                    try host.ok("stop", id)
                    #expect(try host.ok("inspect", "--format", "{{.State.ExitCode}}", id) == "0")
                    try host.ok("rm", id)
                }
                try serve(image)
                try host.ok("save", "-o", host.path("nginx.tar"), image, timeout: .seconds(300))
                try host.ok("rmi", image)
                try host.ok("load", "-i", host.path("nginx.tar"), timeout: .seconds(300))
                try serve(image)
                try host.ok("rmi", image)
                let registry = try Registry(host)
                try registry.push("docker-archive:\(host.path("nginx.tar"))", as: "nginx:1")
                try host.ok(
                    "pull", "-q", "--tls-verify=false", "\(registry.address)/nginx:1", timeout: .seconds(300))
                try serve("\(registry.address)/nginx:1")
            }
        }
    }
}
