import CommandGrammar
import ContainerEngine
import ContainerImage
import ContainerStorage
import LayerArchive
import LinuxSystem

enum CommitCommand {
    static let command = Command(
        "commit", usage: "[OPTIONS] CONTAINER [NAME[:TAG]]",
        summary: "Make an image of a container's changes",
        description:
            "The image has the container's configuration, the layers of its image and one more. With SOURCE_DATE_EPOCH in the environment the same files give the same image: no time is later than that.",
        arguments: .between(1, 2), completing: .objects("containers"),
        flags: {
            [
                Flag("author", short: "a", .string("NAME"), "The image's author"),
                Flag(
                    "change", short: "c", .list("INSTRUCTION"),
                    "Apply a Dockerfile instruction: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR"
                ),
                Flag(
                    "format", short: "f", .choice(["oci", "docker"]), default: "oci", "Format of the manifest"
                ),
                Flag("iidfile", .string("FILE"), "Write the image's ID to FILE", completing: .files),
                Flag("include-volumes", .bool, "The container's volumes become volumes of the image"),
                Flag("message", short: "m", .string("TEXT"), "Comment in the image's history"),
                Flag("pause", short: "p", .bool, default: "true", "Pause the container meanwhile"),
                Flag("quiet", short: "q", .bool, "Suppress output of progress"),
                Flag("squash", short: "s", .bool, "Make one layer of all files"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        var request = CommitRequest()
        request.name = values.arguments.count > 1 ? values.arguments[1] : nil
        request.author = values.string("author")
        request.message = values.string("message")
        request.changes = try values.list("change").map { try ConfigChange(parsing: $0) }
        request.pauses = values.bool("pause")
        request.squashes = values.bool("squash")
        request.isDocker = values.string("format") == "docker"
        request.includesVolumes = values.bool("include-volumes")
        request.latest = try SourceDate.fromEnvironment()
        let engine = try GlobalFlags.engine(values)
        let image = try engine.commit(engine.find(values.arguments[0]), request)
        if let path = values.string("iidfile") {
            try File.replace(path, with: Array(image.id.description.utf8), durable: false)
        }
        Output.printLine(image.id.description)
        return 0
    }
}

/// `SOURCE_DATE_EPOCH` (reproducible-builds.org): seconds since 1970.
enum SourceDate {
    static func fromEnvironment() throws -> Timestamp? {
        guard let text = ProcessEnvironment.value("SOURCE_DATE_EPOCH"), !text.isEmpty else { return nil }
        guard let seconds = Int64(text), seconds >= 0, seconds < 253_402_300_800 else {
            throw EngineError(.invalid, "SOURCE_DATE_EPOCH is \"\(text)\": expected seconds since 1970")
        }
        return Timestamp(seconds: seconds)
    }
}

/// What `commit` starts to keep a container still.
enum HoldCommand {
    static let command = Command(
        "hold", usage: "CONTAINER", summary: "Pause a container until standard input ends",
        arguments: .exactly(1), hidden: true, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        try engine.holdUntilEnd(values.arguments[0], input: STDIN_FILENO, output: STDOUT_FILENO)
        return 0
    }
}
