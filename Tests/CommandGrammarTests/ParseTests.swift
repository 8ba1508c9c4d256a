import Testing

@testable import CommandGrammar

@Suite struct ParseTests {
    @Test func spellingsOfAValue() throws {
        for words in [
            ["--memory", "512m"], ["--memory=512m"], ["-m", "512m"], ["-m512m"], ["-m=512m"], ["-dm=512m"],
            ["-dm512m"], ["-dm", "512m"],
        ] {
            guard case .command(_, let values) = try Sample.tree.parse(["run"] + words + ["image"]) else {
                Issue.record("\(words)")
                continue
            }
            #expect(values.size("memory") == 512 << 20, "\(words)")
            #expect(values.arguments == ["image"])
        }
    }

    @Test func bundledShortsAndBooleans() throws {
        let values = try Sample.values("run", "-itd", "--rm=false", "--sig-proxy=0", "image")
        #expect(values.bool("interactive") && values.bool("tty") && values.bool("detach"))
        #expect(!values.bool("rm"))
        #expect(values.isSet("rm"))
        #expect(!values.bool("sig-proxy"))
        #expect(try Sample.values("run", "image").bool("sig-proxy"))
        #expect(try Sample.values("run", "-i=false", "image").bool("interactive") == false)
    }

    @Test func flagsOfTheContainerStayItsOwn() throws {
        let values = try Sample.values("run", "--rm", "image", "ls", "--rm", "-la", "--", "x")
        #expect(values.arguments == ["image", "ls", "--rm", "-la", "--", "x"])
        #expect(try Sample.values("run", "--", "image", "-x").arguments == ["image", "-x"])
        #expect(try Sample.values("run", "image", "--help").arguments == ["image", "--help"])
    }

    @Test func flagsMayFollowArgumentsElsewhere() throws {
        let values = try Sample.values("logs", "web", "-f")
        #expect(values.bool("follow") && values.arguments == ["web"])
        #expect(try Sample.values("logs", "--", "-f").arguments == ["-f"])
        #expect(try Sample.values("logs", "-").arguments == ["-"])
    }

    @Test func repeatedFlagsAndLists() throws {
        let values = try Sample.values(
            "run", "-e", "A=1,2", "--env=B=x=y", "-eC", "--cap-add", "NET_ADMIN,SYS_TIME", "--cap-add=ALL",
            "image")
        #expect(values.list("env") == ["A=1,2", "B=x=y", "C"])
        #expect(values.list("cap-add") == ["NET_ADMIN", "SYS_TIME", "ALL"])
        #expect(values.list("volume") == [])
        #expect(try Sample.values("run", "--net", "a", "--network", "b", "i").string("network") == "b")
    }

    @Test func valuesMayLookLikeFlagsAndBeEmpty() throws {
        #expect(try Sample.values("ps", "-n", "-1").int("last") == -1)
        #expect(try Sample.values("run", "--pids-limit", "-1", "i").int("pids-limit") == -1)
        #expect(try Sample.values("run", "--hostname=", "i").string("hostname") == "")
        #expect(try Sample.values("run", "--env", "--rm", "i").list("env") == ["--rm"])
    }

    @Test func countsOptionalValuesAndDefaults() throws {
        #expect(try Sample.values("ps", "--verbose", "--verbose").count("verbose") == 2)
        #expect(try Sample.values("ps", "--verbose=5", "--verbose").count("verbose") == 6)
        #expect(try Sample.values("run", "--systemd", "i").string("systemd") == "always")
        #expect(try Sample.values("run", "--systemd=false", "i").string("systemd") == "false")
        #expect(try Sample.values("run", "i").string("systemd") == nil)
        #expect(try Sample.values("run", "i").string("network") == "bridge")
        #expect(try !Sample.values("run", "i").isSet("network"))
    }

    @Test func orderAmongFlagsIsKept() throws {
        let values = try Sample.values("run", "-e", "A", "-v", "/x", "-e", "B", "i")
        #expect(values.ordered(["env", "volume"]).map(\.value) == ["A", "/x", "B"])
    }

    @Test func globalsBeforeAndAfterTheCommand() throws {
        #expect(try Sample.values("--root", "/r", "ps").string("root") == "/r")
        #expect(try Sample.values("ps", "--root=/r", "-a").string("root") == "/r")
        #expect(try Sample.values("--root=/a", "ps", "--root=/b").string("root") == "/b")
        #expect(try Sample.values("-D", "container", "ls").bool("debug"))
    }

    @Test func groupsAliasesAndHiddenCommands() throws {
        #expect(try Sample.values("container", "run", "i").path == ["container", "run"])
        #expect(try Sample.values("container", "ps", "-a").bool("all"))
        #expect(try Sample.values("container", "list", "-a").bool("all"))
        #expect(try Sample.values("secret").arguments == [])
    }

    @Test func deprecatedFlagsWarn() throws {
        let values = try Sample.values("run", "--old", "x", "i")
        #expect(values.string("old") == "x")
        #expect(values.warnings == ["flag --old has been deprecated, use --new instead"])
    }

    @Test(arguments: [
        (["run", "--fooo", "i"], "unknown flag: --fooo", []),
        (["run", "--detahc", "i"], "unknown flag: --detahc", ["--detach"]),
        (["run", "--detch=1", "i"], "unknown flag: --detch", ["--detach"]),
        (["run", "--mem", "1g", "i"], "unknown flag: --mem", ["--memory"]),
        (["run", "--nett=host", "i"], "unknown flag: --nett", ["--net"]),
        (["run", "-z", "i"], "unknown shorthand flag: 'z' in -z", []),
        (["run", "-ita", "i"], "unknown shorthand flag: 'a' in -ita", []),
        (["logs", "-follow", "x"], "unknown shorthand flag: 'o' in -follow", ["--follow"]),
        (["--rot", "/x", "ps"], "unknown flag: --rot", ["--root"]),
        (["rnu", "i"], "unknown command: apus rnu", ["run"]),
        (["container", "lsx"], "unknown command: apus container lsx", ["ls"]),
        (["xyzzy"], "unknown command: apus xyzzy", []),
        (["secre"], "unknown command: apus secre", []),
    ])
    func unknownNamesAndTheNearestRealOne(words: [String], message: String, suggestions: [String]) {
        do throws(UsageError) {
            _ = try Sample.tree.parse(words)
            Issue.record("accepted: \(words)")
        } catch {
            #expect(error.message == message)
            #expect(error.suggestions == suggestions)
        }
    }

    @Test(arguments: [
        (["run", "-e"], "flag needs an argument: 'e' in -e"),
        (["run", "--env"], "flag needs an argument: --env"),
        (["run", "-ite"], "flag needs an argument: 'e' in -ite"),
        (["run", "---x", "i"], "bad flag syntax: ---x"),
        (["run", "--=x", "i"], "bad flag syntax: --=x"),
        (["run", "--rm=maybe", "i"], #"invalid argument "maybe" for "--rm" flag: must be true or false"#),
        (
            ["run", "-m", "12q", "i"],
            #"invalid argument "12q" for "-m, --memory" flag: must be a size such as 512m or 1g"#
        ),
        (
            ["run", "--pull", "x", "i"],
            #"invalid argument "x" for "--pull" flag: must be one of always, missing, never"#
        ),
        (["run"], "'apus run' requires at least 1 argument"),
        (["logs"], "'apus logs' requires 1 argument"),
        (["logs", "a", "b"], "'apus logs' requires 1 argument"),
        (["ps", "x"], "'apus ps' accepts no arguments"),
    ])
    func refusals(words: [String], message: String) {
        do throws(UsageError) {
            _ = try Sample.tree.parse(words)
            Issue.record("accepted: \(words)")
        } catch {
            #expect(error.message == message)
            #expect(error.usage.hasPrefix("apus \(words[0])"))
        }
    }

    @Test func adviceNamesUsageAndHelp() {
        #expect(
            Sample.refusal("logs")?.advice
                == "Usage:  apus logs [OPTIONS] CONTAINER\nSee 'apus logs --help'")
        #expect(
            Sample.refusal("run", "--detahc")?.description
                == "unknown flag: --detahc (did you mean --detach?)")
    }

    @Test func singleDashLongFlagsForTheRuntime() throws {
        let tree = Sample.runtime
        for words in [
            ["-root", "/r", "run", "-bundle", "/b", "id"], ["--root=/r", "run", "--bundle=/b", "id"],
            ["-root=/r", "run", "-b", "/b", "id"], ["--root", "/r", "run", "id", "--b", "/b"],
        ] {
            guard case .command(_, let values) = try tree.parse(words) else {
                Issue.record("\(words)")
                continue
            }
            #expect(values.string("root") == "/r", "\(words)")
            #expect(values.string("bundle") == "/b", "\(words)")
            #expect(values.arguments == ["id"])
        }
        #expect(try Sample.values("run", "-dt", "id", in: tree).bool("tty"))
        #expect(
            try Sample.values("exec", "-t", "id", "sh", "-c", "x", in: tree).arguments == [
                "id", "sh", "-c", "x",
            ])
        #expect(
            Sample.refusal("run", "-bundel", "x", "id", in: tree)?.message
                == "flag provided but not defined: -bundel")
        #expect(Sample.refusal("run", "-bundel", "x", "id", in: tree)?.suggestions == ["--bundle"])
    }

    @Test func parsingIsFast() throws {
        let clock = ContinuousClock()
        let words = [
            "--root", "/r", "run", "-itd", "--rm", "-e", "A=1", "-m", "512m", "image", "sh", "-c", "true",
        ]
        _ = try Sample.tree.parse(words)
        let spent = try clock.measure { for _ in 0..<100 { _ = try Sample.tree.parse(words) } }
        // Far above what it takes even in a debug build; a parse that builds every command is not.
        #expect(spent / 100 < .milliseconds(2))
    }
}

@Suite struct QuantityTests {
    @Test(
        arguments: [
            ("1024", 1024), ("1k", 1024), ("512m", 512 << 20), ("1.5g", 3 << 29), ("2GiB", 2 << 30),
            ("1 kB", 1024), ("7b", 7), ("-1", -1), ("0", 0), ("1T", 1 << 40),
        ] as [(String, Int64)])
    func sizes(text: String, bytes: Int64) { #expect(Quantity.bytes(text) == bytes) }

    @Test(arguments: [
        "", "m", "1x", "-5", "1.5.5m", "1mm", "99999999999999999999", "9999999999g", "1e3", " 1", "nan",
        "0x10",
    ])
    func noSizes(text: String) { #expect(Quantity.bytes(text) == nil) }

    @Test func durations() {
        #expect(Quantity.duration("1h2m3.5s") == .milliseconds(3_723_500))
        #expect(Quantity.duration("250ms") == .milliseconds(250))
        #expect(Quantity.duration("-1s") == .seconds(-1))
        #expect(Quantity.duration("0") == .zero)
        for text in ["", "10", "s", "1x", "1s2", "--1s", "1..5s"] { #expect(Quantity.duration(text) == nil) }
    }

    @Test func integers() {
        #expect(Quantity.integer("0x1F") == 31)
        #expect(Quantity.integer("010") == 8)
        #expect(Quantity.integer("-9223372036854775808") == Int.min)
        #expect(Quantity.integer("+5") == 5)
        for text in ["", "-", "1 ", "1.0", "0x", "++1", "9223372036854775808", "0x-1"] {
            #expect(Quantity.integer(text) == nil)
        }
    }
}
