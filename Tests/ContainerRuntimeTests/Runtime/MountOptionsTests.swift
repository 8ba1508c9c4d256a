import LinuxSystem
import Testing

@testable import ContainerRuntime

@Suite struct MountOptionsTests {
    @Test func attributesPropagationAndData() {
        let options = MountOptions([
            "nosuid", "strictatime", "mode=755", "size=65536k", "rprivate", "rro", "noswap", "sync", "rbind",
        ])
        #expect(options.attributes.added == UInt64(MOUNT_ATTR_NOSUID) | UInt64(MOUNT_ATTR_STRICTATIME))
        #expect(options.attributes.cleared == UInt64(MOUNT_ATTR__ATIME))
        #expect(options.recursiveAttributes.added == UInt64(MOUNT_ATTR_RDONLY))
        #expect(options.propagation == [MountOptions.Propagation(kind: UInt64(MS_PRIVATE), recursive: true)])
        #expect(options.data.map(\.key) == ["mode", "size"])
        #expect(options.data.map(\.value) == ["755", "65536k"])
        #expect(options.flags == ["noswap", "sync"])
        #expect(options.isBind && options.isRecursive)
        #expect(!options.isReadOnly)
    }

    @Test func theLaterOfTwoOppositesHolds() {
        #expect(MountOptions(["ro", "rw"]).isReadOnly == false)
        #expect(MountOptions(["rw", "ro"]).isReadOnly)
        #expect(MountOptions(["noatime", "relatime"]).attributes.added == 0)
        #expect(MountOptions(["ro", "rw"]).attributes.cleared == UInt64(MOUNT_ATTR_RDONLY))
    }

    @Test func bindMountsHaveWhatIsNamedAndNothingElse() {
        let (readOnly, noDev) = (UInt64(MOUNT_ATTR_RDONLY), UInt64(MOUNT_ATTR_NODEV))
        let (noTime, times) = (UInt64(MOUNT_ATTR_NOATIME), Mount.Attributes.accessTimes)
        #expect(!MountOptions(["rbind", "rprivate", "rro", "idmap"]).namesAttributes)
        for option in ["ro", "rw", "dev", "atime", "norelatime", "async", "sync"] {
            #expect(MountOptions([option]).namesAttributes, "\(option)")
        }
        let writable = MountOptions(["bind", "dev"]).replacing
        #expect(writable.added == 0 && writable.cleared & (readOnly | noDev) == readOnly | noDev)
        #expect(writable.cleared & times == 0)
        let readable = MountOptions(["bind", "ro"]).replacing
        #expect(readable.added == readOnly && readable.cleared & (readOnly | noDev) == noDev)
        #expect(MountOptions(["atime", "norelatime", "diratime"]).replacing.cleared & times == 0)
        #expect(MountOptions(["noatime"]).replacing.cleared & times == times)
        #expect(MountOptions(["noatime", "atime"]).replacing.added == 0)
        #expect(MountOptions(["nodiratime"]).replacing.cleared & times == UInt64(MOUNT_ATTR__ATIME))
        // Locked: what is there stays, and contradicting it fails.
        #expect(MountOptions(["rw"]).replacing(keeping: readOnly) == nil)
        #expect(MountOptions(["relatime"]).replacing(keeping: noTime) == nil)
        #expect(MountOptions(["noatime"]).replacing(keeping: noTime)?.added == 0)
        let kept = MountOptions(["nosuid"]).replacing(keeping: readOnly | noTime)
        #expect(kept?.added == UInt64(MOUNT_ATTR_NOSUID) && (kept?.cleared ?? readOnly) & readOnly == 0)
        #expect((kept?.cleared ?? 0) & UInt64(MOUNT_ATTR_NOSYMFOLLOW) != 0)
    }

    @Test func valuesMayHoldEqualsSigns() {
        let options = MountOptions(["context=a=b", "lowerdir=/x:/y"])
        #expect(options.data[0] == ("context", "a=b"))
        #expect(!options.needsLongData)
        #expect(MountOptions(["lowerdir=" + String(repeating: "x", count: 256)]).needsLongData)
    }
}

@Suite struct SysctlTests {
    @Test(arguments: [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/conf/eth0.100/forwarding", "net/ipv4/conf/eth0.100/forwarding"),
        ("net.ipv4.conf.eth0/100.forwarding", "net/ipv4/conf/eth0.100/forwarding"),
    ])
    func namesBecomePaths(_ name: String, _ path: String) throws {
        #expect(try Sysctl.path(name) == path)
    }

    @Test(arguments: ["net/../kernel/core_pattern", "net//x", "/net/x", "net/./x", "net", "", "net/x/.."])
    func pathsThatLeadElsewhereAreRefused(_ name: String) {
        #expect(throws: RuntimeError.self) { try Sysctl.path(name) }
    }
}

@Suite struct RootfsPathTests {
    @Test(arguments: [
        ("/", "/"), ("", "/"), ("/a/b", "/a/b"), ("a/b/", "/a/b"), ("//a///b", "/a/b"), ("/a/./b", "/a/b"),
        ("/a/../../b", "/b"), ("/..", "/"), ("/.a/..b", "/.a/..b"), ("/a/b/..", "/a"), ("/a.b/c", "/a.b/c"),
    ])
    func pathsAreCleaned(_ path: String, _ clean: String) {
        #expect(Rootfs.clean(path) == clean)
    }
}

@Suite struct SyncMessageTests {
    @Test func messagesSurviveTheirBytes() {
        let messages: [SyncMessage] = [
            .mapped, .go, .hooks, .clocks, .devices, .mount(12), .done, .waiting, .executing,
            .terminal("/dev/pts/0"),
            .failed(RuntimeError(.commandNotFound, "exec: \"x\": executable file not found in $PATH")),
            .failed(RuntimeError(.system, "12345")), .failed(RuntimeError(.hook, "1234")),
        ]
        for message in messages {
            #expect(message.bytes.count != 8)
            #expect(SyncMessage(message.bytes) == message || "\(message)".contains("1234"))
        }
    }

    @Test func aReportOfTheLaunchProgramIsUnderstood() {
        let message = SyncMessage([2, 0, 0, 0, 13, 0, 0, 0])
        #expect(message == .launchFailed(LaunchProgram.Failure([2, 0, 0, 0, 13, 0, 0, 0])))
        let failure = LaunchProgram.Failure([2, 0, 0, 0, 13, 0, 0, 0])
        #expect(failure.stage == .execute && failure.errno == .noEntry)
        #expect(failure.error(command: "/x").code == .commandNotFound)
        #expect(
            LaunchProgram.Failure([13, 0, 0, 0, 13, 0, 0, 0]).error(command: "/x").code
                == .commandNotExecutable)
        #expect(
            LaunchProgram.Failure([1, 0, 0, 0, 71, 0, 0, 0]).error(command: "/x").description.contains(
                "RLIMIT_NOFILE"))
        #expect(SyncMessage([]) == nil && SyncMessage([0]) == nil)
    }
}
