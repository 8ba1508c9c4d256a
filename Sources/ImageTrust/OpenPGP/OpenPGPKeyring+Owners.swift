internal import LinuxSystem

/// Whom GPG keys are said to belong to: for people to look at, never for a decision.
public enum OpenPGPKeyOwners {
    /// The addresses of a file's keys, or the names where there is no address.
    public static func names(in key: [UInt8]) -> [String] {
        guard let file = try? MemoryFile.make(key) else { return [] }
        let arguments = [
            "--batch", "--no-options", "--homedir", "/nonexistent", "--no-default-keyring", "--trust-model",
            "always", "--with-colons", "--show-keys", "/proc/self/fd/0",
        ]
        guard
            let outcome = try? Tool.run(
                "gpg", arguments, input: file, attached: [], second: .errors, limit: 1 << 20)
        else { return [] }
        var names: [String] = []
        for line in outcome.outputs[0].split(separator: 0x0A) {
            let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            guard fields.count > 9, fields[0].elementsEqual("uid".utf8), !fields[9].isEmpty else { continue }
            let owner = String(decoding: fields[9], as: UTF8.self)
            if let open = owner.firstIndex(of: "<"), let close = owner[open...].firstIndex(of: ">") {
                names.append(String(owner[owner.index(after: open)..<close]))
            } else {
                names.append(owner)
            }
        }
        return names
    }
}
