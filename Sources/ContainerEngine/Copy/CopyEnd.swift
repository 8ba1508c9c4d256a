import LinuxSystem

/// One side of a copy, as `cp` takes it.
public enum CopyEnd: Sendable, Equatable {
    case container(String, path: String)
    case local(String)
    /// A tar archive on standard input or output.
    case stream

    /// `CONTAINER:PATH`, `PATH` or `-`. What begins with a slash or a dot is a
    /// path of this machine, whatever colons are in it.
    public init(parsing text: String) {
        if text == "-" {
            self = .stream
        } else if !text.hasPrefix("/"), !text.hasPrefix("."), let colon = text.firstIndex(of: ":"),
            colon != text.startIndex
        {
            self = .container(String(text[..<colon]), path: String(text[text.index(after: colon)...]))
        } else {
            self = .local(text)
        }
    }
}

/// What `cp` was asked for.
public struct CopyRequest: Sendable {
    public var source: CopyEnd
    public var target: CopyEnd
    /// Owners stay as they are; else files belong to root in a container, and to the user here.
    public var keepsOwners = false
    /// A symbolic link as the source means what it points to.
    public var followsLink = false
    /// Files may take directories' places, and directories files'.
    public var overwrites = false

    public init(_ source: CopyEnd, to target: CopyEnd) {
        self.source = source
        self.target = target
    }
}
