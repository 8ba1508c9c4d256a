import LinuxSystem

extension Store {
    /// Takes a file or tree away from its place, at once; `emptyTrash` removes it.
    /// One that is not there is no error.
    func discard(_ path: String, as kind: String) throws(SystemError) {
        let name = "trash/\(kind)-\(getpid())-\(String(UInt64.random(in: .min ... .max), radix: 36))"
        do throws(SystemError) {
            try File.rename(path, to: name, at: directory.raw)
        } catch  where error.errno == .noEntry {}
    }

    /// Removes what is in the trash. One process does it at a time; what it
    /// does not see, because it came later, the next sweep finds.
    func emptyTrash() throws(StorageError) {
        let names = try storing("list", "trash") { () throws(SystemError) in
            try File.names(in: "trash", at: directory.raw)
        }
        if names.isEmpty { return }
        guard let lock = try ObjectLock.attempt("trash", in: directory.raw) else { return }
        defer { lock.keep() }
        try storing("empty", "trash") { () throws(SystemError) in
            for name in names { try TreeRemoval.remove("trash/\(name)", at: directory.raw) }
        }
    }
}
