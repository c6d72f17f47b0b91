/* Drives a fuzz target where there is no libFuzzer: mutates a corpus, keeps what reaches new code, stops after some
 * time.  The compiler calls __sanitizer_cov_trace_pc at every edge (-fsanitize-coverage=trace-pc).
 * Usage: target SECONDS SEED FILE...; with 0 seconds every file is run once.  The input that is being run is in
 * ./running, so after a crash the file there is what caused it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

enum { MAP_SIZE = 1 << 16, LARGEST = 1 << 14, POOL = 4096 };

typedef struct {
    uint8_t *data;
    size_t size;
} Input;

static uint8_t reached[MAP_SIZE];
static uint8_t known[MAP_SIZE];
static uintptr_t previous;
static Input pool[POOL];
static size_t pooled;
static uint64_t random_state;
static struct {
    size_t size;
    uint8_t data[LARGEST];
} *running;

void __sanitizer_cov_trace_pc(void);

__attribute__((no_sanitize("address", "undefined"))) void __sanitizer_cov_trace_pc(void) {
    uintptr_t here = (uintptr_t)__builtin_return_address(0);
    uintptr_t edge = (here ^ previous) % MAP_SIZE;
    previous = here >> 1;
    reached[edge] = (uint8_t)(reached[edge] + (reached[edge] < 255));
}

static size_t below(size_t limit) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return limit == 0 ? 0 : (size_t)(random_state % limit);
}

/* Counts fall into eight classes: 1, 2, 3, 4-7, 8-15, 16-31, 32-127, more. */
static uint8_t class_of(uint8_t count) {
    static const uint8_t from[] = {1, 2, 3, 4, 8, 16, 32, 128};
    uint8_t class = 0;
    for (int i = 0; i < 8; i++) {
        class = count >= from[i] ? (uint8_t)(1u << i) : class;
    }
    return class;
}

static int is_news(void) {
    int news = 0;
    for (size_t i = 0; i < MAP_SIZE; i++) {
        uint8_t class = reached[i] == 0 ? 0 : class_of(reached[i]);
        news |= (class & ~known[i]) != 0;
        known[i] |= class;
    }
    return news;
}

static int run(void) {
    memset(reached, 0, sizeof reached);
    previous = 0;
    LLVMFuzzerTestOneInput(running->data, running->size);
    return is_news();
}

static void keep(void) {
    Input *slot = &pool[pooled < POOL ? pooled++ : below(POOL)];
    free(slot->data);
    slot->data = (uint8_t *)fuzz_copy(running->data, running->size);
    slot->size = running->size;
}

static void insert(size_t at, const void *data, size_t size) {
    if (running->size + size <= LARGEST) {
        memmove(running->data + at + size, running->data + at, running->size - at);
        memcpy(running->data + at, data, size);
        running->size += size;
    }
}

static void mutate(void) {
    static const char *const words[] = {"\"\"\"", "'''", "[[", "]]", "[", "]", "{", "}", "=", ".", ",", "\r\n", "\n", "\\",
                                        "\\u00e9", "\\U0010FFFF", "#", "true", "1979-05-27T07:32:00Z", "0x1_f", "-inf",
                                        "a.b", "[[processes]]\n", "[[buildpacks]]\n", "id = \"a\"\n", "type = \"web\"\n",
                                        "command = [\"a\", \"b\"]\n", "args = []\n", "exec-env = [\"*\"]\n", ".append",
                                        ".prepend", ".delim", ".default", ".override", "A", "\xf0\x9f\x98\x80", "\xff"};
    for (size_t rounds = 1 + below(4); rounds > 0; rounds--) {
        size_t size = running->size;
        size_t at = below(size + 1);
        size_t length = below(size - at + 1);
        const Input *other = &pool[below(pooled)];
        uint8_t byte = (uint8_t)below(256);
        switch (below(7)) {
        case 0:
            if (at < size) {
                running->data[at] = byte;
            }
            break;
        case 1:
            insert(at, &byte, 1);
            break;
        case 2:
            memmove(running->data + at, running->data + at + length, size - at - length);
            running->size -= length;
            break;
        case 3:
            if (size < LARGEST / 2) {
                uint8_t copy[LARGEST];
                memcpy(copy, running->data + at, length);
                insert(below(size + 1), copy, length);
            }
            break;
        case 4: {
            const char *word = words[below(sizeof words / sizeof *words)];
            insert(at, word, strlen(word));
            break;
        }
        case 5: {
            size_t from = below(other->size + 1);
            insert(at, other->data + from, below(other->size - from + 1));
            break;
        }
        default:
            if (at < size) {
                running->data[at] ^= (uint8_t)(1u << below(8));
            }
        }
    }
}

static void load(const char *path) {
    int file = open(path, O_RDONLY);
    ssize_t size = file < 0 ? -1 : read(file, running->data, LARGEST);
    if (size < 0) {
        perror(path);
        exit(1);
    }
    close(file);
    running->size = (size_t)size;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        return 1;
    }
    int file = open("running", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || ftruncate(file, sizeof *running) != 0) {
        return 1;
    }
    running = mmap(NULL, sizeof *running, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (running == MAP_FAILED) {
        return 1;
    }
    time_t end = time(NULL) + atoi(argv[1]);
    random_state = (uint64_t)atoll(argv[2]) * 2654435761u + 88172645463325252u;
    unsigned long runs = 0;
    for (int i = 3; i < argc; i++, runs++) {
        load(argv[i]);
        run();
        keep();
    }
    if (pooled == 0) {
        running->size = 0;
        keep();
    }
    size_t given = pooled;
    while (time(NULL) < end) {
        for (int i = 0; i < 64; i++, runs++) {
            const Input *from = &pool[below(pooled)];
            memcpy(running->data, from->data, from->size);
            running->size = from->size;
            mutate();
            if (run()) {
                keep();
            }
        }
    }
    printf("%lu runs, %zu inputs of %zu reach new code\n", runs, pooled - given, pooled);
    return 0;
}
