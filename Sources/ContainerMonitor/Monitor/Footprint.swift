import LinuxSystem

/// Gives back the memory that the process holds but does not need while it sleeps.
///
/// What an idle monitor would hold otherwise (seen with a static executable):
/// about 3 MiB of text, which the kernel mapped around each page that start-up
/// touched; 400 KiB of unchanged data; and the heap's free tail. All of these
/// come back from the page cache or as zeros when they are touched again. What
/// stays is what was written to: some 100 KiB of data, heap and stack.
enum Footprint {
    static func release() {
        malloc_trim(0)
        releaseProgram()
    }

    /// Drops the program's own clean pages. They are private mappings of a
    /// file, so MADV_DONTNEED forgets what was written to them (madvise(2)):
    /// in writable segments only the pages that still are the file's go.
    private static func releaseProgram() {
        guard let headers = UnsafeRawPointer(bitPattern: UInt(getauxval(3 /* AT_PHDR */))) else { return }
        let count = Int(getauxval(5 /* AT_PHNUM */))
        let page = Int(getauxval(6 /* AT_PAGESZ */))
        let segments = UnsafeBufferPointer(
            start: headers.assumingMemoryBound(to: Elf64_Phdr.self), count: count)
        // The headers' own address, less where they say they are, is where a
        // position-independent program was put.
        let table = segments.first { $0.p_type == PT_PHDR }
        let base = table.map { Int(bitPattern: headers) - Int($0.p_vaddr) } ?? 0
        for segment in segments where segment.p_type == PT_LOAD {
            let start = (base + Int(segment.p_vaddr)) & ~(page - 1)
            let fileEnd = base + Int(segment.p_vaddr) + Int(segment.p_filesz)
            let end = (fileEnd + page - 1) & ~(page - 1)
            if segment.p_flags & 2 /* PF_W */ == 0 {
                madvise(UnsafeMutableRawPointer(bitPattern: start), end - start, MADV_DONTNEED)
            } else {
                releaseUnchanged(start, end, page)
            }
        }
    }

    /// Bit 61 of a page's entry in /proc/self/pagemap says that it is the file's
    /// (Documentation/admin-guide/mm/pagemap.rst). One thread: nothing changes meanwhile.
    private static func releaseUnchanged(_ start: Int, _ end: Int, _ page: Int) {
        guard let map = try? File.open("/proc/self/pagemap") else { return }
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 64) { entries in
            var address = start
            while address < end {
                let wanted = min(64, (end - address) / page)
                let count = pread(map.raw, entries.baseAddress, wanted * 8, off_t(address / page * 8))
                guard count >= 8 else { return }
                for entry in entries[..<(count / 8)] {
                    if entry >> 61 & 1 == 1, entry >> 63 == 1 {
                        madvise(UnsafeMutableRawPointer(bitPattern: address), page, MADV_DONTNEED)
                    }
                    address += page
                }
            }
        }
    }
}
