/* Times commands doing the same work, one after the other and in the opposite order in every other
 * round, so that a drift of the machine's speed meets all alike.
 *
 *     alternate ROUNDS { PREPARE COMMAND }...
 *
 * PREPARE is for the shell and not timed; it may be empty. With fewer than ten rounds there are none
 * to warm up: that is for work that is prepared anew. COMMAND is split at blanks. A line for
 * each: its least and its median time in microseconds, and its peak memory in KiB
 * (getrusage(2), ru_maxrss: the largest process among those that were waited for).
 *
 * Linked statically: a child's peak begins with this program's own. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAXIMUM_ROUNDS = 10000, MAXIMUM_COMMANDS = 8, MAXIMUM_WORDS = 64, WARM_UP = 3 };

static char *words[MAXIMUM_COMMANDS][MAXIMUM_WORDS + 1];
static long *times[MAXIMUM_COMMANDS];
static long peaks[MAXIMUM_COMMANDS];
static int null;

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static int compare(const void *a, const void *b) {
    long left = *(const long *)a, right = *(const long *)b;
    return (left > right) - (left < right);
}

/* - Returns: the status as waitpid(2) has it. */
static int run(char **words, struct rusage *usage) {
    pid_t child = vfork();
    if (child == 0) {
        dup2(null, 0);
        dup2(null, 1);
        execvp(words[0], words);
        _exit(127);
    }
    int status = -1;
    if (child > 0) wait4(child, &status, 0, usage);
    return status;
}

static void prepare(char *text) {
    char *shell[] = {"sh", "-c", text, 0};
    if (*text && run(shell, 0) != 0) {
        fprintf(stderr, "alternate: failed: %s\n", text);
        exit(1);
    }
}

static void measure(int command, char *preparation, int round) {
    struct rusage usage;
    prepare(preparation);
    /* Detached containers are left to us. */
    while (waitpid(-1, 0, WNOHANG) > 0) {}
    long start = now();
    int status = run(words[command], &usage);
    long end = now();
    if (status != 0) {
        fprintf(stderr, "alternate: status %#x of:", status);
        for (char **word = words[command]; *word; word++) fprintf(stderr, " %s", *word);
        fputc('\n', stderr);
        exit(1);
    }
    if (round < 0) return;
    times[command][round] = end - start;
    if (usage.ru_maxrss > peaks[command]) peaks[command] = usage.ru_maxrss;
}

int main(int count, char **arguments) {
    int rounds = count > 1 ? atoi(arguments[1]) : 0;
    int commands = (count - 2) / 2;
    if (rounds < 1 || rounds > MAXIMUM_ROUNDS || commands < 1 || commands > MAXIMUM_COMMANDS || count % 2) return 2;
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int command = 0; command < commands; command++) {
        times[command] = malloc(sizeof(long) * rounds);
        char *word = strtok(arguments[3 + command * 2], " ");
        for (int position = 0; word && position < MAXIMUM_WORDS; word = strtok(0, " ")) words[command][position++] = word;
    }
    for (int round = rounds < 10 ? 0 : -WARM_UP; round < rounds; round++)
        for (int position = 0; position < commands; position++) {
            int command = round & 1 ? commands - 1 - position : position;
            measure(command, arguments[2 + command * 2], round);
        }
    for (int command = 0; command < commands; command++) {
        qsort(times[command], rounds, sizeof(long), compare);
        printf("%ld %ld %ld\n", times[command][0], times[command][rounds / 2], peaks[command]);
    }
    return 0;
}
