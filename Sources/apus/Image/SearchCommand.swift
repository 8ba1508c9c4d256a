import CommandGrammar
import ContainerEngine
import ContainerImage
import GoTemplate
import JSONText

enum SearchCommand {
    static let command = Command(
        "search", usage: "[OPTIONS] TERM", summary: "Search registries for images",
        description:
            "TERM may begin with a registry; else all unqualified-search-registries are asked. A registry that cannot search is asked for its list of repositories.",
        arguments: .exactly(1),
        flags: {
            [
                Flag("authfile", .string("FILE"), "Path of the authentication file", completing: .files),
                Flag("cert-dir", .string("DIR"), "Directory of TLS certificates", completing: .directories),
                Flag("compatible", .bool, "Show stars and whether images are official or automated, too"),
                Flag("creds", .string("[USER[:PASSWORD]]"), "Credentials for the registry"),
                Flag(
                    "filter", short: "f", .list("KEY=VALUE"),
                    "Show only what matches: stars=NUMBER, is-official, is-automated"),
                Flag("format", .string("TEMPLATE"), "Print by a Go template, or json"),
                Flag("limit", .unsignedInteger("NUMBER"), default: "25", "How many results a registry gives"),
                Flag("list-tags", .bool, "List the tags of the repository TERM"),
                Flag("no-trunc", .bool, "Do not truncate output"),
                RegistryFlags.verification,
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        var options = TransferOptions()
        RegistryFlags.apply(values, to: &options)
        options.credentials = values.string("creds")
        let limit = Int(min(values.uint("limit") ?? 25, 100_000))
        let term = values.arguments[0]
        if values.bool("list-tags") { return try listTags(term, options, limit, values) }
        let filters = try values.list("filter").map(filter)
        let truncate = !values.bool("no-trunc") && !values.isSet("format")
        var rows: [JSON] = []
        for result in try RegistrySearch(options: options).search(term, limit: limit)
        where filters.allSatisfy({ $0(result) }) {
            let text = result.description
            rows.append([
                "Index": .string(result.registry), "Name": .string(result.name),
                "Description": .string(truncate && text.count > 44 ? "\(text.prefix(44))..." : text),
                "Stars": .integer(Int64(result.stars)), "Official": .string(result.isOfficial ? "[OK]" : ""),
                "Automated": .string(result.isAutomated ? "[OK]" : ""), "Tag": "",
            ])
        }
        let standard =
            values.bool("compatible")
            ? #"table {{.Name}}\t{{.Description}}\t{{.Stars}}\t{{.Official}}\t{{.Automated}}"#
            : #"table {{.Name}}\t{{.Description}}"#
        let format = try ListingFormat(
            values.string("format"), default: standard,
            headings: [
                "Index": "INDEX", "Name": "NAME", "Description": "DESCRIPTION", "Stars": "STARS",
                "Official": "OFFICIAL", "Automated": "AUTOMATED", "Tag": "TAG",
            ])
        if !rows.isEmpty || values.isSet("format") { Output.print(try format.render(rows)) }
        return 0
    }

    private static func listTags(
        _ term: String, _ options: TransferOptions, _ limit: Int, _ values: Values
    ) throws -> Int32 {
        guard values.list("filter").isEmpty else {
            throw EngineError(.invalid, "filters are not applicable to list tags result")
        }
        let place = try RegistryPlace(
            term.hasPrefix("docker://") ? String(term.dropFirst(9)) : term, options: options)
        let tags = try place.tags()
        let shown = values.isSet("limit") ? tags.prefix(limit) : tags[...]
        let rows: [JSON] = shown.map { ["Name": .string(place.reference.repository), "Tag": .string($0)] }
        let format = try ListingFormat(
            values.string("format"), default: #"table {{.Name}}\t{{.Tag}}"#,
            headings: ["Name": "NAME", "Tag": "TAG"])
        Output.print(try format.render(rows))
        return 0
    }

    private static func filter(_ text: String) throws -> (RegistrySearch.Result) -> Bool {
        let pair = text.split(separator: "=", maxSplits: 1).map(String.init)
        switch (pair.first, pair.count == 2 ? pair[1] : nil) {
        case ("stars", let value?):
            if let stars = Int(value) { return { $0.stars >= stars } }
        case ("is-official", let value) where [nil, "true", "false"].contains(value):
            return { $0.isOfficial == (value != "false") }
        case ("is-automated", let value) where [nil, "true", "false"].contains(value):
            return { $0.isAutomated == (value != "false") }
        default: break
        }
        throw EngineError(
            .invalid,
            "invalid filter \"\(text)\": use stars=NUMBER, is-official[=true|false] or is-automated[=true|false]"
        )
    }
}
