/* The one function here that is no wrapper of a call. It drops the program's
 * own pages and then sleeps: whatever ran in between would bring pages back,
 * 64 KiB around each that it touches, and a write to a data page between the
 * look at it and its dropping would be lost. C compiled in one piece, on the
 * stack alone, does neither. */
#pragma once
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

struct linux_segment {
    uintptr_t start, end; /* whole pages */
    int writable;
};

/* - pagemap: /proc/self/pagemap, or -1: then writable segments are left alone.
 * Bit 61 of a page's entry says that the page is the file's, bit 63 that it is
 * present (Documentation/admin-guide/mm/pagemap.rst). A private page that was
 * written to is the file's no more, and is kept. */
static inline int linux_drop_pages_and_wait(
    const struct linux_segment *segments, unsigned count, int pagemap, uintptr_t page,
    int epoll, struct epoll_event *events, int capacity) {
    for (unsigned i = 0; i < count; i++) {
        if (!segments[i].writable) continue;
        for (uintptr_t at = segments[i].start; at < segments[i].end;) {
            uint64_t entries[64];
            uintptr_t wanted = (segments[i].end - at) / page;
            if (wanted > 64) wanted = 64;
            ssize_t got = pagemap < 0 ? 0 : pread(pagemap, entries, wanted * 8, at / page * 8);
            if (got < 8) break;
            unsigned run = 0;
            for (unsigned n = 0; n < got / 8; n++, at += page) {
                if (entries[n] >> 61 & 1 && entries[n] >> 63) {
                    run++;
                } else if (run) {
                    madvise((void *)(at - run * page), run * page, MADV_DONTNEED);
                    run = 0;
                }
            }
            if (run) madvise((void *)(at - run * page), run * page, MADV_DONTNEED);
        }
    }
    for (unsigned i = 0; i < count; i++)
        if (!segments[i].writable)
            madvise((void *)segments[i].start, segments[i].end - segments[i].start, MADV_DONTNEED);
    return epoll_wait(epoll, events, capacity, -1);
}
