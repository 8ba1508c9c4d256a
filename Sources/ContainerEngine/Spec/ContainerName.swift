import LinuxSystem

/// Names and IDs for containers that were given none.
public enum ContainerName {
    private static let manners = [
        "agile", "airy", "alert", "bold", "brave", "bright", "brisk", "calm", "cheerful", "clever",
        "crisp", "daring", "dashing", "eager", "fearless", "fleet", "free", "gallant", "gentle", "glad",
        "gliding", "graceful", "happy", "hardy", "hasty", "jolly", "keen", "light", "lively", "lofty",
        "lucid", "merry", "mild", "nimble", "noble", "patient", "playful", "prompt", "proud", "quick",
        "quiet", "rapid", "ready", "restless", "silent", "sleek", "smooth", "soaring", "spry", "steady",
        "sunny", "swift", "tender", "tireless", "trusty", "vivid", "wandering", "warm", "wild", "wise",
    ]
    private static let birds = [
        "albatross", "avocet", "bittern", "bulbul", "bunting", "cisticola", "crane", "curlew", "dipper",
        "dotterel", "dove", "dunlin", "egret", "eider", "falcon", "fieldfare", "finch", "flycatcher",
        "gannet", "godwit", "goldcrest", "grebe", "harrier", "heron", "hobby", "hoopoe", "ibis", "jackdaw",
        "kestrel", "kingfisher", "kite", "knot", "lapwing", "lark", "linnet", "magpie", "martin", "merlin",
        "nightjar", "nutcracker", "oriole", "osprey", "ouzel", "owl", "petrel", "pipit", "plover", "puffin",
        "quail", "raven", "redstart", "robin", "roller", "ruff", "sandpiper", "shrike", "siskin", "skua",
        "snipe", "starling", "stilt", "stonechat", "stork", "swallow", "tern", "thrush", "turnstone",
        "wagtail", "warbler", "waxwing", "wheatear", "whimbrel", "wigeon", "wren",
    ]

    /// 64 hexadecimal digits from the kernel's random numbers.
    public static func randomID() -> String {
        var generator = SystemRandomNumberGenerator()
        var id = ""
        id.reserveCapacity(64)
        for _ in 0..<4 {
            let text = String(generator.next(), radix: 16)
            id += String(repeating: "0", count: 16 - text.count) + text
        }
        return id
    }

    /// `nimble_martin`; from the third attempt on with a number behind it.
    public static func random(attempt: Int = 0) -> String {
        var generator = SystemRandomNumberGenerator()
        let name = "\(manners.randomElement(using: &generator)!)_\(birds.randomElement(using: &generator)!)"
        return attempt < 2 ? name : name + String(UInt32.random(in: 0..<100_000, using: &generator))
    }

    public static func validate(_ name: String) throws(EngineError) {
        guard ObjectName.isValid(name) else {
            throw EngineError(
                .invalid, "invalid container name \"\(name)\": only [a-zA-Z0-9][a-zA-Z0-9_.-]* is allowed")
        }
    }
}
