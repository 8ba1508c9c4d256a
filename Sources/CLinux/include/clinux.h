/* What Swift cannot import: variadic calls and macros. Static inline wrappers
 * only, one call each, returning the kernel's value or -errno. */
#pragma once
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <linux/openat2.h>
#include <poll.h>
#include <spawn.h>
#include <sys/inotify.h>
#include <termios.h>
#include <unistd.h>

/* Swift's Glibc module is built without _GNU_SOURCE, and a header may not mean
 * two things in one program: so the GNU names are declared here. */
#ifndef O_PATH
#define O_PATH 010000000
#endif
#ifndef O_DIRECT
#define O_DIRECT 040000
#endif
#ifndef O_NOATIME
#define O_NOATIME 01000000
#endif
#ifndef O_TMPFILE
#define O_TMPFILE 020200000
#endif
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#ifndef AT_NO_AUTOMOUNT
#define AT_NO_AUTOMOUNT 0x800
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef F_DUPFD_CLOEXEC
#define F_DUPFD_CLOEXEC 1030
#endif
#ifndef F_SETPIPE_SZ
#define F_SETPIPE_SZ 1031
#define F_GETPIPE_SZ 1032
#endif
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#define F_SEAL_SEAL 1
#define F_SEAL_SHRINK 2
#define F_SEAL_GROW 4
#define F_SEAL_WRITE 8
#endif
#ifndef FALLOC_FL_PUNCH_HOLE
#define FALLOC_FL_KEEP_SIZE 1
#define FALLOC_FL_PUNCH_HOLE 2
#endif
#ifndef SEEK_DATA
#define SEEK_DATA 3
#define SEEK_HOLE 4
#endif
#ifndef CLONE_NEWNS
#define CLONE_VM 0x00000100
#define CLONE_FS 0x00000200
#define CLONE_FILES 0x00000400
#define CLONE_VFORK 0x00004000
#define CLONE_PIDFD 0x00001000
#define CLONE_PARENT 0x00008000
#define CLONE_NEWNS 0x00020000
#define CLONE_NEWCGROUP 0x02000000
#define CLONE_NEWUTS 0x04000000
#define CLONE_NEWIPC 0x08000000
#define CLONE_NEWUSER 0x10000000
#define CLONE_NEWPID 0x20000000
#define CLONE_NEWNET 0x40000000
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
extern int unshare(int flags);
extern int setns(int fd, int type);
extern int pipe2(int ends[2], int flags);
extern int dup3(int old, int new_, int flags);
extern int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
extern int setresuid(uid_t real, uid_t effective, uid_t saved);
extern int setresgid(gid_t real, gid_t effective, gid_t saved);
extern int setgroups(size_t count, const gid_t *groups);
extern int memfd_create(const char *name, unsigned int flags);
extern ssize_t splice(int in, long *in_offset, int out, long *out_offset, size_t length, unsigned int flags);
extern ssize_t copy_file_range(int in, long *in_offset, int out, long *out_offset, size_t length, unsigned int flags);
extern int fallocate(int fd, int mode, long offset, long length);
extern pid_t gettid(void);
extern int malloc_trim(size_t pad);
extern int mallopt(int parameter, int value);
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
#ifndef POSIX_SPAWN_SETSID
#define POSIX_SPAWN_SETSID 0x80
#endif
#ifndef SPLICE_F_NONBLOCK
#define SPLICE_F_MOVE 1
#define SPLICE_F_NONBLOCK 2
#define SPLICE_F_MORE 4
#endif

static inline long linux_syscall(long number, long a, long b, long c, long d, long e, long f) {
    long result = syscall(number, a, b, c, d, e, f);
    return result < 0 ? -errno : result;
}

static inline int linux_ioctl(int fd, unsigned long request, void *argument) {
    int result = ioctl(fd, request, argument);
    return result < 0 ? -errno : result;
}

static inline int linux_fcntl(int fd, int command, long argument) {
    int result = fcntl(fd, command, argument);
    return result < 0 ? -errno : result;
}

/* Swift hides fork(2): it is for programs of one thread, which the runtime floor's are. */
static inline int linux_fork(void) {
    int result = fork();
    return result < 0 ? -errno : result;
}

/* The most descriptors that one message of ours carries (unix(7) allows 253). */
#define LINUX_MAX_PASSED 32

/* sendmsg(2) with descriptors (SCM_RIGHTS). */
static inline long linux_send_descriptors(
    int fd, const void *bytes, size_t count, const int *passed, unsigned passed_count, int flags) {
    union { char bytes[CMSG_SPACE(sizeof(int) * LINUX_MAX_PASSED)]; struct cmsghdr align; } control;
    struct iovec vector = {(void *)bytes, count};
    struct msghdr message = {0};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    if (passed_count > LINUX_MAX_PASSED) return -EINVAL;
    if (passed_count) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * passed_count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * passed_count);
        for (unsigned i = 0; i < passed_count; i++) ((int *)CMSG_DATA(header))[i] = passed[i];
    }
    ssize_t result = sendmsg(fd, &message, flags | MSG_NOSIGNAL);
    return result < 0 ? -errno : result;
}

/* recvmsg(2) with descriptors, close-on-exec; `passed` has room for LINUX_MAX_PASSED.
 * A message that was cut short is -EMSGSIZE; then `passed` still holds what came. */
static inline long linux_receive_descriptors(
    int fd, void *bytes, size_t count, int *passed, unsigned *passed_count, int flags) {
    union { char bytes[CMSG_SPACE(sizeof(int) * LINUX_MAX_PASSED)]; struct cmsghdr align; } control;
    struct iovec vector = {bytes, count};
    struct msghdr message = {0};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    *passed_count = 0;
    ssize_t result = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);
    if (result < 0) return -errno;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
        unsigned n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (unsigned i = 0; i < n && *passed_count < LINUX_MAX_PASSED; i++)
            passed[(*passed_count)++] = ((int *)CMSG_DATA(h))[i];
    }
    return message.msg_flags & MSG_TRUNC ? -EMSGSIZE : result;
}

static inline int linux_errno(void) { return errno; }
static inline void linux_set_errno(int value) { errno = value; }

#include "sleep_light.h"
