internal import JSONText
public import OCISpec

/// One `--change`: a Dockerfile instruction applied to an image's config.
public struct ConfigChange: Sendable {
    private let instruction: String
    private let argument: String
    private let text: String

    /// Reads `CMD ["sh"]`, `ENV A=b`, also `CMD=sh` as podman takes it.
    public init(parsing text: String) throws(ImageError) {
        self.text = text
        let trimmed = text.trimmed
        let end = trimmed.firstIndex { $0 == " " || $0 == "\t" || $0 == "=" } ?? trimmed.endIndex
        instruction = trimmed[..<end].uppercased()
        argument = end == trimmed.endIndex ? "" : String(trimmed[trimmed.index(after: end)...]).trimmed
        let known = [
            "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "LABEL", "ONBUILD", "STOPSIGNAL", "USER", "VOLUME",
            "WORKDIR",
        ]
        guard known.contains(instruction) else {
            throw ImageError(
                .configuration, "read --change \"\(text)\"",
                "\(instruction.isEmpty ? "it is empty" : "\(instruction) is not supported"); "
                    + "expected one of \(known.joined(separator: ", "))")
        }
        var probe = ContainerDefaults()
        try apply(to: &probe)
    }

    public func apply(to config: inout ContainerDefaults) throws(ImageError) {
        guard !argument.isEmpty else { throw wrong("it has no argument") }
        switch instruction {
        case "CMD": config.cmd = try commandLine()
        case "ENTRYPOINT": config.entrypoint = try commandLine()
        case "ENV":
            for (name, value) in try pairs() {
                config.env.removeAll { $0.hasPrefix("\(name)=") }
                config.env.append("\(name)=\(value)")
            }
        case "LABEL":
            for (name, value) in try pairs() { config.labels[name] = value }
        case "EXPOSE":
            for port in try words() {
                let parts = port.split(separator: "/", omittingEmptySubsequences: false)
                let proto = parts.count == 2 ? parts[1].lowercased() : "tcp"
                let bounds = (parts.first ?? "").split(separator: "-", omittingEmptySubsequences: false).map {
                    UInt16($0)
                }
                guard parts.count <= 2, ["tcp", "udp", "sctp"].contains(proto),
                    (1...2).contains(bounds.count),
                    !bounds.contains(nil), !bounds.contains(0), bounds.first!! <= bounds.last!!
                else { throw wrong("\"\(port)\" is no port") }
                for number in bounds.first!!...bounds.last!! {
                    let exposed = "\(number)/\(proto)"
                    if !config.exposedPorts.contains(exposed) { config.exposedPorts.append(exposed) }
                }
            }
            config.exposedPorts.sort()
        case "VOLUME":
            let paths = argument.hasPrefix("[") ? try commandLine() : try words()
            for path in paths where !config.volumes.contains(path) { config.volumes.append(path) }
            config.volumes.sort()
        case "USER": config.user = argument
        case "WORKDIR":
            config.workingDir =
                argument.hasPrefix("/")
                ? argument
                : (config.workingDir.hasSuffix("/") ? config.workingDir : "\(config.workingDir)/") + argument
        case "STOPSIGNAL": config.stopSignal = argument
        default: config.onBuild.append(argument)
        }
    }

    private func wrong(_ why: String) -> ImageError {
        ImageError(.configuration, "read --change \"\(text)\"", why)
    }

    /// The JSON form, or a line for the shell.
    private func commandLine() throws(ImageError) -> [String] {
        if argument.hasPrefix("["), let json = try? JSON(parsing: argument),
            let words = try? [String](json: json)
        {
            return words
        }
        return ["/bin/sh", "-c", argument]
    }

    /// `NAME=value …`, or `NAME value` in the old form.
    private func pairs() throws(ImageError) -> [(name: String, value: String)] {
        let words = try words()
        if let first = words.first, !first.contains("=") {
            guard words.count > 1 else { throw wrong("\(first) has no value") }
            let rest = String(argument.dropFirst(argument.prefix { $0 != " " && $0 != "\t" }.count)).trimmed
            return [(first, rest)]
        }
        var pairs: [(name: String, value: String)] = []
        for word in words {
            guard let equals = word.firstIndex(of: "="), equals != word.startIndex else {
                throw wrong("\"\(word)\" is no NAME=value")
            }
            pairs.append((String(word[..<equals]), String(word[word.index(after: equals)...])))
        }
        return pairs
    }

    /// Words apart by white space, with the shell's quotes and backslashes.
    private func words() throws(ImageError) -> [String] {
        var words: [String] = []
        var word = ""
        var started = false
        var quote: Character?
        var escaped = false
        for character in argument {
            if escaped {
                word.append(character)
                escaped = false
            } else if character == "\\", quote != "'" {
                escaped = true
                started = true
            } else if let open = quote {
                if character == open { quote = nil } else { word.append(character) }
            } else if character == "\"" || character == "'" {
                quote = character
                started = true
            } else if character == " " || character == "\t" {
                if started { words.append(word) }
                word = ""
                started = false
            } else {
                word.append(character)
                started = true
            }
        }
        guard quote == nil else { throw wrong("a quote is not closed") }
        if started { words.append(word) }
        return words
    }
}

extension String {
    /// Without white space at its ends.
    fileprivate var trimmed: String {
        var rest = Substring(self)
        while let first = rest.first, first.isWhitespace { rest.removeFirst() }
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return String(rest)
    }
}
