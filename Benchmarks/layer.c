/* Writes the tar of a made-up layer: files of one size in directories of a hundred, half of each
 * noise and half text, 64 KiB in turn, which compresses to about two thirds. The same arguments give the same bytes.
 *
 *     layer NAME FILES SIZE
 *
 * NAME is the directory that holds all, and decides the contents. SIZE is in bytes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, PIECE = 128 << 10 };

static uint64_t state = 0x9E3779B97F4A7C15;

/* xorshift64 */
static uint64_t noise(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static void header(const char *name, char type, unsigned long size) {
    char block[BLOCK] = {0};
    snprintf(block, 100, "%s", name);
    snprintf(block + 100, 8, "%07o", type == '5' ? 0755 : 0644);
    memset(block + 108, '0', 7);
    memset(block + 116, '0', 7);
    snprintf(block + 124, 12, "%011lo", size);
    snprintf(block + 136, 12, "%011o", 1700000000);
    memset(block + 148, ' ', 8);
    block[156] = type;
    memcpy(block + 257, "ustar\00000", 8);
    unsigned sum = 0;
    for (int i = 0; i < BLOCK; i++) sum += (unsigned char)block[i];
    snprintf(block + 148, 7, "%06o", sum);
    fwrite(block, BLOCK, 1, stdout);
}

static void contents(unsigned long size) {
    static const char *words[] = {"layer ", "of ", "files ", "that ", "nobody ", "will ", "read ", "but ",
                                  "every ", "byte ", "is ", "hashed ", "twice ", "and ", "kept.\n", "the "};
    static char piece[PIECE];
    unsigned long padded = (size + BLOCK - 1) / BLOCK * BLOCK;
    for (unsigned long done = 0; done < padded; done += PIECE) {
        unsigned count = padded - done < PIECE ? padded - done : PIECE;
        unsigned half = count / 16 * 8;
        for (unsigned i = 0; i < half; i += 8) {
            uint64_t bits = noise();
            memcpy(piece + i, &bits, 8);
        }
        for (unsigned i = half; i < count;) {
            const char *word = words[noise() >> 32 & 15];
            for (; *word && i < count; i++) piece[i] = *word++;
        }
        if (size - done < count) memset(piece + (size - done), 0, count - (size - done));
        fwrite(piece, count, 1, stdout);
    }
}

int main(int count, char **arguments) {
    if (count != 4) return fputs("usage: layer NAME FILES SIZE\n", stderr), 2;
    long files = atol(arguments[2]), size = atol(arguments[3]);
    for (const char *c = arguments[1]; *c; c++) state = (state ^ (uint64_t)*c) * 0x100000001B3;
    char name[100];
    snprintf(name, sizeof name, "%s/", arguments[1]);
    header(name, '5', 0);
    for (long file = 0; file < files; file++) {
        if (file % 100 == 0) {
            snprintf(name, sizeof name, "%s/%04ld/", arguments[1], file / 100);
            header(name, '5', 0);
        }
        snprintf(name, sizeof name, "%s/%04ld/file%02ld", arguments[1], file / 100, file % 100);
        header(name, '0', size);
        contents(size);
    }
    static char end[2 * BLOCK];
    fwrite(end, sizeof end, 1, stdout);
    return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
