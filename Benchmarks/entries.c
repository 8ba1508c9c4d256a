/* Writes the addresses of the functions that a program and its clones call, in the order of their
 * first calls, to a file's end. Breakpoints stand at all functions' first bytes, and each is taken
 * away when it is met; the programs that are executed are left alone.
 *
 *     entries OUTPUT ADDRESSES PROGRAM ARGUMENT...
 *
 * ADDRESSES is a file of hexadecimal numbers, ascending: where the functions of the program, which
 * is linked to fixed addresses, begin. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CAPACITY = 1 << 20, BREAKPOINT = 0xcc };

static unsigned long entries[CAPACITY];
static unsigned char *code, is_met[CAPACITY];
static size_t count, size;

static int compare(const void *a, const void *b) {
    unsigned long left = *(const unsigned long *)a, right = *(const unsigned long *)b;
    return (left > right) - (left < right);
}

static int open_memory(pid_t pid) {
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    return open(path, O_RDWR | O_CLOEXEC);
}

static void arm(pid_t pid) {
    int memory = open_memory(pid);
    size = entries[count - 1] - entries[0] + 1;
    code = malloc(size);
    unsigned char *armed = malloc(size);
    if (pread(memory, code, size, entries[0]) != (ssize_t)size) perror("read the program");
    memcpy(armed, code, size);
    for (size_t i = 0; i < count; i++) armed[entries[i] - entries[0]] = BREAKPOINT;
    if (pwrite(memory, armed, size, entries[0]) != (ssize_t)size) perror("write the program");
    free(armed);
    close(memory);
}

/* - Returns: whether a breakpoint of ours was met. */
static int meet(pid_t pid, FILE *output) {
    struct user_regs_struct registers;
    ptrace(PTRACE_GETREGS, pid, 0, &registers);
    unsigned long address = registers.rip - 1;
    unsigned long *entry = bsearch(&address, entries, count, sizeof *entries, compare);
    if (!entry) return 0;
    if (!is_met[entry - entries]++) fprintf(output, "%lx\n", address);
    int memory = open_memory(pid);
    if (pwrite(memory, code + (address - entries[0]), 1, address) != 1) perror("write the program");
    close(memory);
    registers.rip = address;
    ptrace(PTRACE_SETREGS, pid, 0, &registers);
    return 1;
}

int main(int argument_count, char **arguments) {
    if (argument_count < 4) return 2;
    FILE *output = fopen(arguments[1], "a"), *addresses = fopen(arguments[2], "r");
    if (!output || !addresses) return 2;
    while (count < CAPACITY && fscanf(addresses, "%lx", &entries[count]) == 1) count++;
    if (!count) return 2;
    pid_t program = fork();
    if (program == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execvp(arguments[3], arguments + 3);
        _exit(127);
    }
    int status, is_armed = 0;
    waitpid(program, &status, 0);
    ptrace(
        PTRACE_SETOPTIONS, program, 0,
        PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
    ptrace(PTRACE_CONT, program, 0, 0);
    for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0;) {
        if (!WIFSTOPPED(status)) {
            if (pid == program) break;
            continue;
        }
        int event = status >> 16, signal = WSTOPSIG(status);
        if (event == PTRACE_EVENT_EXEC) {
            if (is_armed) {
                ptrace(PTRACE_DETACH, pid, 0, 0);
                continue;
            }
            arm(pid);
            is_armed = 1;
        }
        if (event || signal == SIGSTOP || (signal == SIGTRAP && meet(pid, output))) signal = 0;
        ptrace(PTRACE_CONT, pid, 0, signal);
    }
    return fclose(output) ? 1 : WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
