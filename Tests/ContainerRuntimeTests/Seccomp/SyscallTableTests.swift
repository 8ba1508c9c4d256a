import LinuxSystem
import Testing

@testable import ContainerRuntime

@Suite struct SyscallTableTests {
    private let fields = SyscallTable.rows.map { $0.split(separator: " ").map(String.init) }

    @Test func rowsAreSortedAndWhole() {
        #expect(fields.allSatisfy { $0.count == 6 })
        let names = fields.map { Array($0[0].utf8) }
        for (first, second) in zip(names, names.dropFirst()) {
            #expect(first.lexicographicallyPrecedes(second), "\(String(decoding: second, as: UTF8.self))")
        }
        for column in 1...5 {
            let numbers = fields.compactMap { Int($0[column]) }
            #expect(numbers.allSatisfy { $0 < SyscallTable.privateSlot || 0xF0000..<0xF0010 ~= $0 })
            // arm gives one number two names.
            #expect(Set(numbers).count >= numbers.count - 1)
        }
    }

    @Test func everyNameIsFoundFromAnywhere() {
        for (row, field) in fields.enumerated() {
            for hint in [0, row - 1, row, row + 1, fields.count - 1, fields.count, row / 2] {
                #expect(SyscallTable.row(field[0], hint: max(hint, 0)) == row)
            }
            let slots = SyscallTable.slots(ofRow: row)
            for column in 0..<5 {
                let slot = Int(slots[column])
                #expect(field[1 + column] == (slot < 0 ? "-" : String(SyscallTable.number(ofSlot: slot))))
            }
        }
        for name in ["", " ", "a", "rea", "readd", "read ", "read 0", "zzz", "~", "_", "accept 43", "\u{0}"] {
            for hint in [0, 100, 400] { #expect(SyscallTable.row(name, hint: hint) == nil, "\(name)") }
        }
    }

    @Test(arguments: [("unistd_64.h", 0), ("unistd_x32.h", 1), ("unistd_32.h", 2)])
    func numbersAreThoseOfTheHeaders(header: String, column: Int) throws {
        #if arch(x86_64)
            let path = "/usr/include/x86_64-linux-gnu/asm/\(header)"
            guard let text = try? File.readText(path) else {
                print("skipped: \(path) is not installed (linux-libc-dev)")
                return
            }
            var compared = 0
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ", maxSplits: 2)
                guard words.count == 3, words[0] == "#define", words[1].hasPrefix("__NR_") else { continue }
                let name = String(words[1].dropFirst(5))
                let number = words[2].filter(\.isNumber).drop { _ in false }
                let expected =
                    words[2].contains("BIT") ? words[2].split(separator: " ").last!.dropLast() : number[...]
                guard let row = SyscallTable.row(name) else {
                    // A header newer than this table.
                    let isNew = (Int(expected) ?? 0) > 471
                    #expect(isNew, "\(name) is missing")
                    continue
                }
                #expect(fields[row][1 + column] == expected, "\(name)")
                compared += 1
            }
            #expect(compared > 300)
        #endif
    }

    /// The kernel that we run on, by the calls that Swift's C library knows.
    @Test func agreesWithTheRunningMachine() {
        for (name, number) in [
            ("read", SYS_read), ("openat2", SYS_openat2), ("seccomp", SYS_seccomp), ("bpf", SYS_bpf),
        ] {
            let row = SyscallTable.row(name)!
            #expect(
                Int32(SyscallTable.slots(ofRow: row)[SyscallMachine.current.native.rawValue]) == Int32(number)
            )
        }
    }
}
