import CommandGrammar
import ContainerEngine
import ContainerStorage
import LayerArchive
import LinuxSystem
import OCISpec

enum UnpackCommand {
    static let command = Command(
        "unpack", usage: "[OPTIONS] IMAGE BUNDLE", summary: "Make a bundle for an OCI runtime of an image",
        description:
            "BUNDLE gets the image's files in rootfs, a config.json by the image's configuration, and apus.json, by which `apus image repack` finds the image again. It must not be there yet, or be an empty directory. Run it by `apus-runtime run --bundle BUNDLE NAME`, or another runtime. With mappings the files belong to whom a user namespace maps the image's users to, config.json asks for that namespace, and repack maps back. Only root can make a bundle, but with --rootless any user can run it, if it is made for him: --rootless --uid-map 0:1000:1 --gid-map 0:1000:1.",
        arguments: .exactly(2), completing: .objects("images"),
        flags: {
            [
                Flag(
                    "gid-map", .list("CONTAINER:HOST[:SIZE]"),
                    "Map the image's groups to groups of the host"),
                Flag(
                    "rootless", .bool,
                    "Give all files to the mapped root (or to you), and note in the attribute user.rootlesscontainers whose they are; devices become empty files"
                ),
                Flag(
                    "uid-map", .list("CONTAINER:HOST[:SIZE]"), "Map the image's users to users of the host"),
            ]
        },
        run: { values in
            let owners = BundleOwners(
                users: try values.list("uid-map").map { try IDMapping(parsing: $0, flag: "uid-map") },
                groups: try values.list("gid-map").map { try IDMapping(parsing: $0, flag: "gid-map") },
                isRootless: values.bool("rootless"))
            try GlobalFlags.engine(values).unpack(
                values.arguments[0], to: values.arguments[1], owners: owners)
            return 0
        })
}

enum RepackCommand {
    static let command = Command(
        "repack", usage: "[OPTIONS] IMAGE BUNDLE", summary: "Make an image of a changed bundle",
        description:
            "IMAGE is the new image's name, which may be the old one's. It has the layers of the image that was unpacked and one more, of what has changed in the bundle's rootfs since; changes of config.json do not matter. With SOURCE_DATE_EPOCH in the environment the same files give the same image.",
        arguments: .exactly(2), completing: .objects("images"),
        flags: {
            [
                Flag("history.author", .string("NAME"), "Author of the new step in the image's history"),
                Flag("history.comment", .string("TEXT"), "Comment on the step"),
                Flag("history.created", .string("TIME"), "Time of the step and the image (RFC 3339)"),
                Flag("history.created_by", .string("COMMAND"), "Command that made the step"),
                Flag("mask-path", .list("PATH"), "Leave out changes of PATH and below"),
                Flag("no-history", .bool, "Leave the step out of the image's history"),
                Flag("no-mask-volumes", .bool, "Take changes in the image's volumes, too"),
                Flag(
                    "refresh-bundle", .bool,
                    "Let the bundle be one of the new image, with the times that SOURCE_DATE_EPOCH gave files"
                ),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        var request = RepackRequest(name: values.arguments[0])
        request.history = try history(values, over: request.history)
        request.latest = try SourceDate.fromEnvironment()
        request.maskedPaths = values.list("mask-path")
        request.masksVolumes = !values.bool("no-mask-volumes")
        request.refreshesBundle = values.bool("refresh-bundle")
        let image = try GlobalFlags.engine(values).repack(values.arguments[1], request)
        Output.printLine(image.id.description)
        return 0
    }

    private static func history(_ values: Values, over standard: HistoryEntry?) throws -> HistoryEntry? {
        let given = ["author", "comment", "created", "created_by"].map { "history.\($0)" }
        if values.bool("no-history") {
            if let flag = given.first(where: values.isSet) {
                throw EngineError(.invalid, "--no-history and --\(flag) contradict each other")
            }
            return nil
        }
        var history = standard ?? HistoryEntry()
        if let author = values.string("history.author") { history.author = author }
        if let comment = values.string("history.comment") { history.comment = comment }
        if let command = values.string("history.created_by") { history.createdBy = command }
        if let time = values.string("history.created") {
            guard Timestamp(parsing: time) != nil else {
                throw EngineError(
                    .invalid,
                    "invalid --history.created \"\(time)\": expected a time like 2006-01-02T15:04:05Z")
            }
            history.created = time
        }
        return history
    }
}
