/* The least that a container of the bundle which `apus-runtime spec` writes costs: the same
 * namespaces, mounts, devices, control groups, masks, and root, by the fewest system calls, with no
 * configuration read, no state kept and nothing checked. What a runtime takes beyond this is its own.
 *
 *     floor ROOTFS COMMAND GROUP...
 *
 * GROUP is a directory to be made in a mounted cgroup v1 hierarchy. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(long result, const char *what) {
    if (result >= 0) return;
    perror(what);
    _exit(1);
}

static void write_file(int directory, const char *file, const char *text) {
    int fd = openat(directory, file, O_WRONLY | O_CLOEXEC);
    check(fd, file);
    check(write(fd, text, strlen(text)), file);
    close(fd);
}

/* - Returns: the group's open `tasks` file. */
static int make_group(const char *path) {
    static const char *devices[] = {
        "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm",
        "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm", "c 10:200 rwm", "c 136:* rwm"};
    check(mkdir(path, 0755), path);
    int group = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (strstr(path, "/cpuset/")) {
        static const char *files[] = {"cpuset.cpus", "cpuset.mems"};
        for (int i = 0; i < 2; i++) {
            char name[32], text[256];
            snprintf(name, sizeof name, "../%s", files[i]);
            int above = openat(group, name, O_RDONLY | O_CLOEXEC);
            ssize_t count = read(above, text, sizeof text - 1);
            check(count, name);
            text[count] = 0;
            close(above);
            write_file(group, files[i], text);
        }
    }
    if (strstr(path, "/devices/")) {
        write_file(group, "devices.deny", "a");
        int allow = openat(group, "devices.allow", O_WRONLY | O_CLOEXEC);
        for (unsigned i = 0; i < sizeof devices / sizeof *devices; i++)
            check(write(allow, devices[i], strlen(devices[i])), "devices.allow");
        close(allow);
    }
    int tasks = openat(group, "tasks", O_WRONLY | O_CLOEXEC);
    check(tasks, "tasks");
    close(group);
    return tasks;
}

static void mount_all(const char *rootfs) {
    unsigned long confined = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    check(mount(0, "/", 0, MS_SLAVE | MS_REC, 0), "slave");
    check(mount(rootfs, rootfs, 0, MS_BIND | MS_REC, 0), "bind");
    check(chdir(rootfs), "chdir");
    check(mount("proc", "proc", "proc", 0, 0), "proc");
    check(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"), "dev");
    mkdir("dev/pts", 0755);
    check(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"), "pts");
    mkdir("dev/shm", 0755);
    check(mount("shm", "dev/shm", "tmpfs", confined, "mode=1777,size=65536k"), "shm");
    mkdir("dev/mqueue", 0755);
    check(mount("mqueue", "dev/mqueue", "mqueue", confined, 0), "mqueue");
    check(mount("sysfs", "sys", "sysfs", confined | MS_RDONLY, 0), "sysfs");
    check(mount("cgroup", "sys/fs/cgroup", "tmpfs", confined, "mode=755"), "cgroup");
    static const struct { const char *path; int major, minor; } devices[] = {
        {"dev/null", 1, 3}, {"dev/zero", 1, 5}, {"dev/full", 1, 7},
        {"dev/tty", 5, 0}, {"dev/random", 1, 8}, {"dev/urandom", 1, 9}};
    for (int i = 0; i < 6; i++)
        check(mknod(devices[i].path, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor)), "mknod");
    symlink("/proc/kcore", "dev/core");
    symlink("/proc/self/fd", "dev/fd");
    symlink("/proc/self/fd/0", "dev/stdin");
    symlink("/proc/self/fd/1", "dev/stdout");
    symlink("/proc/self/fd/2", "dev/stderr");
    symlink("pts/ptmx", "dev/ptmx");
}

static void mount_groups(char **groups) {
    for (; *groups; groups++) {
        /* /sys/fs/cgroup/NAME/… */
        char name[256];
        const char *start = *groups + strlen("/sys/fs/cgroup/");
        snprintf(name, sizeof name, "sys/fs/cgroup/%.*s", (int)strcspn(start, "/"), start);
        check(mkdir(name, 0755), name);
        check(mount(*groups, name, 0, MS_BIND, 0), name);
    }
    /* struct mount_attr */
    uint64_t read_only[4] = {1 | 2 | 4 | 8, 0, 0, 0};
    check(syscall(SYS_mount_setattr, AT_FDCWD, "sys/fs/cgroup", 0x8000 /* AT_RECURSIVE */, read_only, sizeof read_only), "setattr");
}

static void mask(void) {
    static const char *masked[] = {
        "proc/acpi", "proc/asound", "proc/kcore", "proc/keys", "proc/latency_stats",
        "proc/timer_list", "proc/timer_stats", "proc/sched_debug", "sys/firmware", "proc/scsi"};
    static const char *fixed[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};
    const char *empty = 0;
    for (unsigned i = 0; i < sizeof masked / sizeof *masked; i++) {
        struct stat status;
        if (stat(masked[i], &status) != 0) continue;
        if (!S_ISDIR(status.st_mode)) {
            check(mount("/dev/null", masked[i], 0, MS_BIND, 0), masked[i]);
        } else if (empty) {
            check(mount(empty, masked[i], 0, MS_BIND, 0), masked[i]);
        } else {
            check(mount("tmpfs", masked[i], "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "nr_blocks=1,nr_inodes=1"), masked[i]);
            empty = masked[i];
        }
    }
    for (unsigned i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        if (mount(fixed[i], fixed[i], 0, MS_BIND | MS_REC, 0) != 0) continue;
        check(mount(0, fixed[i], 0, MS_BIND | MS_REMOUNT | MS_RDONLY, 0), fixed[i]);
    }
}

static void bring_up_loopback(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    check(ioctl(fd, SIOCSIFFLAGS, &request), "lo");
    close(fd);
}

static void become(int go, const char *rootfs, const char *command, char **groups) {
    int tasks[32];
    unsigned count = 0;
    setsid();
    bring_up_loopback();
    sethostname("floor", 5);
    mount_all(rootfs);
    check(read(go, tasks, sizeof tasks), "go");
    for (char **group = groups; *group; group++) check(write(tasks[count++], "0", 1), "tasks");
    mount_groups(groups);
    mask();
    check(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    check(umount2(".", MNT_DETACH), "detach");
    check(chdir("/"), "chdir");
    check(mount(0, "/", 0, MS_BIND | MS_REMOUNT | MS_RDONLY, 0), "read-only");
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    for (int capability = 0; capability < 41; capability++)
        if (capability != 5 && capability != 10 && capability != 29) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    char *arguments[] = {(char *)command, 0};
    char *environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 0};
    execve(command, arguments, environment);
    check(-1, command);
}

int main(int count, char **words) {
    if (count < 4) return 2;
    char **groups = words + 3;
    int go[2], tasks[32];
    unsigned made = 0;
    check(pipe2(go, O_CLOEXEC), "pipe");
    /* The tasks files must be the child's too, which is being cloned meanwhile: it shares the table of
     * descriptors, until execve(2). */
    struct clone_args arguments = {
        .flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS | CLONE_FILES,
        .exit_signal = SIGCHLD};
    long child = syscall(SYS_clone3, &arguments, sizeof arguments);
    check(child, "clone3");
    if (child == 0) become(go[0], words[1], words[2], groups);
    for (char **group = groups; *group; group++) tasks[made++] = make_group(*group);
    check(write(go[1], tasks, made * sizeof *tasks), "go");
    int status;
    check(waitpid(child, &status, 0), "wait");
    for (char **group = groups; *group; group++) check(rmdir(*group), *group);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
