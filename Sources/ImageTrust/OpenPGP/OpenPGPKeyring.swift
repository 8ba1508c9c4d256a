internal import LinuxSystem

/// Public OpenPGP keys, and nothing else that would be trusted: no keyring of the user, no agent.
///
/// gpgv(1) verifies: it is made for this, reads nothing but what it is given, and a flaw in its reading
/// of an attacker's packets is not in our process.
struct OpenPGPKeyring {
    /// Packets, without armor.
    private let keys: [UInt8]

    private static let program = "gpgv"
    /// What is signed is a few hundred bytes; a compressed message may hold any amount.
    private static let contentLimit = 1 << 20

    /// - Throws: `key` when one of the files holds no public key.
    init(_ files: [[UInt8]]) throws(TrustError) {
        var all: [UInt8] = []
        for file in files {
            let packets = try OpenPGPArmor.removed(from: file)
            // A public-key packet comes first (RFC 4880, section 11.1).
            guard let first = packets.first, first & 0x80 != 0,
                (first & 0x40 != 0 ? first & 0x3F : first >> 2 & 15) == 6
            else { throw TrustError(.key, "read the GPG key", "it is no public key") }
            all += packets
        }
        keys = all
    }

    /// What a message says, when it has one good signature and nothing besides.
    /// - Throws: `signature` for every other message.
    func signedContent(of message: [UInt8]) throws(TrustError) -> [UInt8] { try open(message).content }

    /// - Returns: what the message says, and the fingerprints of the key that signed it, and of its
    ///   primary key if that is another.
    /// - Throws: `signature` for a message that has not one good signature, or something besides.
    func open(_ message: [UInt8]) throws(TrustError) -> (content: [UInt8], signers: [String]) {
        // Packets alone: gpgv reads armored and cleartext messages, too, of which there is no need.
        guard let first = message.first, first & 0x80 != 0 else {
            throw TrustError(.signature, "verify the GPG signature", "it is no OpenPGP message")
        }
        let outcome: Tool.Outcome
        do throws(SystemError) {
            let input = try MemoryFile.make(message)
            let ring = try MemoryFile.make(keys)
            outcome = try Tool.run(
                Self.program,
                [
                    "--homedir", "/nonexistent", "--keyring", "/proc/self/fd/4", "--status-fd", "3",
                    "--output", "-", "--", "-",
                ], input: input, attached: [ring.raw], second: .status,
                limit: Self.contentLimit)
        } catch {
            let why = error.errno == .noEntry ? "gpgv is not installed" : error.description
            throw TrustError(.signature, "verify the GPG signature", why)
        }
        return (outcome.outputs[0], try Self.judge(outcome))
    }

    /// Reads the status lines (gnupg, doc/DETAILS): exactly one signature, good, by a key that is
    /// neither expired nor revoked, over the one text there is.
    private static func judge(_ outcome: Tool.Outcome) throws(TrustError) -> [String] {
        func wrong(_ why: String) -> TrustError { TrustError(.signature, "verify the GPG signature", why) }
        var counts: [Substring: Int] = [:]
        var key = ""
        var signers: [String] = []
        for line in outcome.outputs[1].split(separator: 0x0A) {
            let words = String(decoding: line, as: UTF8.self).split(separator: " ")
            guard words.count >= 2, words[0] == "[GNUPG:]" else { continue }
            counts[words[1], default: 0] += 1
            if ["GOODSIG", "BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "NO_PUBKEY"]
                .contains(words[1]), words.count > 2
            {
                key = String(words[2])
            }
            if words[1] == "VALIDSIG" {
                for place in [2, 11] where words.count > place { signers.append(String(words[place])) }
            }
        }
        if counts["NO_PUBKEY"] != nil { throw wrong("it is by the key \(key), which is not accepted") }
        if counts["BADSIG"] != nil { throw wrong("it is not what the key \(key) signed") }
        if counts["EXPSIG"] != nil { throw wrong("the signature has expired") }
        if counts["EXPKEYSIG"] != nil || counts["KEYEXPIRED"] != nil {
            throw wrong("the key \(key) has expired")
        }
        if counts["REVKEYSIG"] != nil || counts["KEYREVOKED"] != nil {
            throw wrong("the key \(key) has been revoked")
        }
        let needed: [Substring] = ["NEWSIG", "GOODSIG", "VALIDSIG", "PLAINTEXT"]
        let refused: [Substring] = ["ERRSIG", "NODATA", "UNEXPECTED", "BADARMOR", "FAILURE", "ERROR"]
        guard outcome.exitCode == 0, needed.allSatisfy({ counts[$0] == 1 }),
            refused.allSatisfy({ counts[$0] == nil })
        else { throw wrong("it is no message with one good signature") }
        return signers
    }
}
