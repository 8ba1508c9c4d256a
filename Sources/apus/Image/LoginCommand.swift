import CommandGrammar
import ContainerEngine
import ContainerImage
import LinuxSystem

enum LoginCommand {
    static let command = Command(
        "login", usage: "[OPTIONS] [REGISTRY]", summary: "Log in to a registry",
        description:
            "Has the registry check a name and a password, and remembers them in auth.json. Without REGISTRY: the first of registries.conf's unqualified-search-registries.",
        arguments: .between(0, 1),
        flags: {
            RegistryFlags.flags() + [
                Flag("get-login", .bool, "Print the user that is logged in"),
                Flag(
                    "password", short: "p", .string("PASSWORD"),
                    "Password (others can see it while the command runs)"),
                Flag("password-stdin", .bool, "Read the password from standard input"),
                RegistryFlags.verification,
                Flag("username", short: "u", .string("USER"), "Name of the user"),
                Flag("verbose", short: "v", .bool, "Print the path of the authentication file"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        var options = TransferOptions()
        RegistryFlags.apply(values, to: &options)
        let login = try RegistryLogin(values.arguments.first, options: options)
        if values.bool("get-login") {
            guard let known = try login.known() else {
                throw EngineError(.notFound, "not logged into \(login.registry)")
            }
            Output.printLine(known.user)
            return 0
        }
        if !values.isSet("username"), !values.isSet("password"), !values.bool("password-stdin"),
            let known = try login.known()
        {
            Output.printLine("Authenticating with existing credentials for \(login.registry)")
            if try login.accepts(user: known.user, password: known.password) {
                Output.printLine("Existing credentials are valid. Already logged in to \(login.registry)")
                return 0
            }
            Output.printLine("Existing credentials are invalid, please enter valid username and password")
        }
        let (user, password) = try ask(values, known: try login.known()?.user)
        guard !user.isEmpty, !user.contains(":"), !password.isEmpty else {
            throw EngineError(
                .invalid,
                user.isEmpty || password.isEmpty
                    ? "the name and the password must not be empty"
                    : "a name with a colon cannot log in to a registry")
        }
        guard try login.accepts(user: user, password: password) else {
            throw EngineError(
                .invalid, "logging into \"\(login.registry)\": invalid username/password")
        }
        try login.save(user: user, password: password)
        if values.bool("verbose") { Output.printLine("Used:  \(login.path)") }
        Output.printLine("Login Succeeded!")
        return 0
    }

    private static func ask(_ values: Values, known: String?) throws -> (user: String, password: String) {
        var user = values.string("username")
        if values.bool("password-stdin") {
            guard !values.isSet("password") else {
                throw EngineError(.invalid, "can't specify both --password-stdin and --password")
            }
            guard let user else {
                throw EngineError(.invalid, "must provide --username with --password-stdin")
            }
            var bytes = try FD.readAll(STDIN_FILENO, limit: 64 << 10)
            // One end of line is echo's, not the password's.
            if bytes.last == 0x0A { bytes.removeLast() }
            if bytes.last == 0x0D { bytes.removeLast() }
            return (user, String(decoding: bytes, as: UTF8.self))
        }
        if let user, let password = values.string("password") { return (user, password) }
        guard Terminal.isTerminal(STDIN_FILENO) else {
            throw EngineError(
                .invalid, "cannot ask for credentials without a terminal: use --username and --password-stdin"
            )
        }
        if user == nil {
            Output.print("Username\(known.map { " (\($0))" } ?? ""): ")
            let line = readLine() ?? ""
            user = line.isEmpty ? known ?? "" : line
        }
        if let password = values.string("password") { return (user!, password) }
        return (user!, try Terminal.askSecret("Password: "))
    }
}

enum LogoutCommand {
    static let command = Command(
        "logout", usage: "[OPTIONS] [REGISTRY]", summary: "Log out of a registry",
        arguments: .between(0, 1),
        flags: {
            [
                Flag("all", short: "a", .bool, "Log out of all registries"),
                Flag("authfile", .string("FILE"), "Path of the authentication file", completing: .files),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        var options = TransferOptions()
        options.authFile = values.string("authfile")
        if values.bool("all") {
            guard values.arguments.isEmpty else {
                throw EngineError(.invalid, "--all takes no arguments")
            }
            try RegistryLogin.forgetAll(authFile: options.authFile)
            Output.printLine("Removed login credentials for all registries")
            return 0
        }
        let login = try RegistryLogin(values.arguments.first, options: options)
        guard try login.forget() else {
            guard try login.known() != nil else {
                throw EngineError(.notFound, "not logged into \(login.registry)")
            }
            Output.printLine(
                "Not logged into \(login.registry) with current tool. Existing credentials were established via docker login. Please use docker logout instead."
            )
            return 0
        }
        Output.printLine("Removed login credentials for \(login.registry)")
        return 0
    }
}
