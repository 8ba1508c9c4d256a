import LinuxSystem
import Testing

/// The tests of the built programs on the real kernel, one file a feature.
///
/// They run one after another: they share the host's bridge, firewall and mount table, and count
/// what is left there. Environment:
///
/// - `APUS_BIN`: the directory of the programs (default: `.build/release` of this package)
/// - `APUS_PEER=podman`: run the tests that have no `.ours` trait against podman instead, which
///   proves the tests
/// - `APUS_CGROUP_MANAGER=systemd`: containers are scopes of systemd's, where a test does not ask for
///   another way
/// - `APUS_LOGIN`: a user who can log in, and lingers (loginctl(1)); the tests without root are his
@Suite(.serialized, .enabled(if: geteuid() == 0, "the end-to-end tests need root"))
enum EndToEnd {}

extension Trait where Self == ConditionTrait {
    /// For what the peer does not have, or has in another form.
    static var ours: Self { .enabled(if: Programs.peer == nil, "only about Apus itself") }

    static func needs(_ programs: String...) -> Self {
        let missing = programs.filter { Programs.find($0) == nil }
        return .enabled(if: missing.isEmpty, "not installed: \(missing.joined(separator: ", "))")
    }
}
