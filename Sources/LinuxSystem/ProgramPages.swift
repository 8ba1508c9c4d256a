/// Where the running program's file is mapped: pages that a long sleep can do without.
public struct ProgramPages: ~Copyable, Sendable {
    let segments: [linux_segment]
    let size: UInt
    /// /proc/self/pagemap, or -1.
    let map: Int32

    /// For a program of one thread.
    public init() {
        let size = UInt(sysconf(Int32(_SC_PAGESIZE)))
        self.size = size
        map = (try? File.open("/proc/self/pagemap").take()) ?? -1
        segments = Self.segments(pageSize: size)
    }

    deinit { if map >= 0 { _ = close(map) } }

    private static func segments(pageSize: UInt) -> [linux_segment] {
        guard let headers = UnsafeRawPointer(bitPattern: UInt(getauxval(UInt(AT_PHDR)))) else { return [] }
        let table = UnsafeBufferPointer(
            start: headers.assumingMemoryBound(to: Elf64_Phdr.self), count: Int(getauxval(UInt(AT_PHNUM))))
        // The headers' own address, less where they say they are, is where a
        // position-independent program was put.
        let own = table.first { $0.p_type == UInt32(PT_PHDR) }
        let base = own.map { UInt(bitPattern: headers) &- UInt($0.p_vaddr) } ?? 0
        let mask = pageSize - 1
        return table.filter { $0.p_type == UInt32(PT_LOAD) }.map { segment in
            let start = base &+ UInt(segment.p_vaddr)
            return linux_segment(
                start: start & ~mask, end: (start + UInt(segment.p_filesz) + mask) & ~mask,
                writable: Int32(segment.p_flags) & PF_W != 0 ? 1 : 0)
        }
    }
}
