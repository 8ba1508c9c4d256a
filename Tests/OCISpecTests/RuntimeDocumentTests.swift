import JSONText
import OCISpec
import Testing

@Suite struct RuntimeDocumentTests {
    private static let text = """
        {
          "ociVersion": "1.2.0", "x-new": {"kept": [1, 2.50]},
          "process": {
            "terminal": true, "consoleSize": {"height": 25, "width": 80},
            "user": {"uid": 1, "gid": 2, "umask": 18, "additionalGids": [3]},
            "args": ["sh"], "env": ["A=b"], "cwd": "/",
            "capabilities": {"bounding": ["CAP_KILL"], "ambient": []},
            "rlimits": [{"type": "RLIMIT_CORE", "hard": 18446744073709551615, "soft": 5}],
            "noNewPrivileges": true, "oomScoreAdj": -5, "futureMember": "stays"
          },
          "root": {"path": "rootfs", "readonly": true},
          "mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "options": ["ro"]}],
          "hooks": {"poststop": [{"path": "/x", "args": ["x"], "env": ["B=c"], "timeout": 3}]},
          "linux": {
            "namespaces": [{"type": "pid"}, {"type": "network", "path": "/n"}],
            "uidMappings": [{"containerID": 0, "hostID": 5, "size": 6}],
            "resources": {
              "devices": [{"allow": false, "access": "rwm"}], "memory": {"limit": -1, "swappiness": 60},
              "cpu": {"quota": 5, "period": 100}, "pids": {"limit": 7},
              "blockIO": {"weight": 10, "throttleReadBpsDevice": [{"major": 1, "minor": 2, "rate": 3}]},
              "hugepageLimits": [{"pageSize": "2MB", "limit": 9}], "unified": {"a.b": "c"}
            },
            "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438}],
            "seccomp": {
              "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "architectures": ["SCMP_ARCH_X86_64"],
              "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": 18446744073709551615, "op": "SCMP_CMP_MASKED_EQ", "valueTwo": 1}]}]
            },
            "sysctl": {"net.x": "1"}, "maskedPaths": ["/m"], "intelRdt": {"closID": "g"}, "x-newer": {"a": 1}
          }
        }
        """

    @Test func nothingIsLostOnTheWay() throws {
        let json = try JSON(parsing: Self.text)
        let config = try RuntimeConfig(json: json)
        #expect(config.json == json)
        #expect(try RuntimeConfig(json: config.json) == config)
        #expect(config.process?.rlimits.first?.hard == .max)
        #expect(config.linux?.namespaces.last == LinuxNamespace(.network, path: "/n"))
        #expect(config.linux?.seccomp?.syscalls.first?.args.first?.op == .maskedEqual)
        #expect(config.linux?.intelRdt == IntelRdt(closID: "g"))
        #expect(config.linux?.unknown["x-newer"]?["a"] == 1)
        #expect(config.process?.capabilities?.ambient == [])
        #expect(config.process?.capabilities?.effective == nil)
    }

    @Test(arguments: [
        (#"{"ociVersion": 3}"#, "ociVersion"), (#"{}"#, "ociVersion"),
        (#"{"ociVersion": "1", "process": {"user": {"uid": -1}}}"#, "process.user.uid"),
        (#"{"ociVersion": "1", "process": {"args": [1]}}"#, "process.args[0]"),
        (
            #"{"ociVersion": "1", "linux": {"namespaces": [{"type": "pid"}, {"type": "nope"}]}}"#,
            "linux.namespaces[1].type"
        ),
        (#"{"ociVersion": "1", "mounts": [{"type": "proc"}]}"#, "mounts[0].destination"),
        (#"{"ociVersion": "1", "mounts": {}}"#, "mounts"),
        (
            #"{"ociVersion": "1", "linux": {"seccomp": {"defaultAction": "x"}}}"#,
            "linux.seccomp.defaultAction"
        ),
        (
            #"{"ociVersion": "1", "linux": {"seccomp": {"defaultAction": "SCMP_ACT_LOG", "syscalls": [{"names": [], "action": "SCMP_ACT_LOG", "args": [{"index": 6, "op": "SCMP_CMP_EQ"}]}]}}}"#,
            "linux.seccomp.syscalls[0].args[0].index"
        ),
        (#"{"ociVersion": "1", "annotations": {"a": 1}}"#, "annotations.a"),
    ])
    func errorsNameTheirPlace(_ text: String, _ path: String) throws {
        do throws(JSONError) {
            _ = try RuntimeConfig(json: try JSON(parsing: text))
            Issue.record("accepted")
        } catch {
            #expect(error.path == path)
        }
    }

    @Test func nullsAreAbsent() throws {
        let config = try RuntimeConfig(
            json: try JSON(parsing: #"{"ociVersion": "1", "process": null, "mounts": null}"#))
        #expect(config.process == nil && config.mounts.isEmpty)
    }

    @Test func theStateIsWhatTheSpecificationSays() throws {
        let state = RuntimeState(
            ociVersion: "1.2.0", id: "x", status: .created, pid: 5, bundle: "/b", annotations: ["k": "v"])
        #expect(
            state.json.text()
                == #"{"ociVersion":"1.2.0","id":"x","status":"created","pid":5,"bundle":"/b","annotations":{"k":"v"}}"#
        )
        #expect(try RuntimeState(json: state.json) == state)
    }

    @Test func manyMembersAreAllFound() throws {
        // More than the reader has bits for.
        var object = JSONObject()
        object["ociVersion"] = "1.0"
        for number in 0..<200 { object["x\(number)"] = .integer(Int64(number)) }
        object["hostname"] = "last"
        let config = try RuntimeConfig(json: .object(object))
        #expect(config.hostname == "last")
        #expect(config.unknown.count == 200)
        #expect(config.json == .object(object))
    }
}
