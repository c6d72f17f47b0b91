/* The arena's memory: the first items lie in the program itself, so that a usual start asks the kernel for none. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include <stdalign.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arena.h"

enum { OUT_OF_MEMORY_EXIT = 82, ALIGNMENT = alignof(max_align_t), FIRST_BLOCK = 64 << 10, BLOCK = 1 << 20 };

static alignas(max_align_t) char first_block[FIRST_BLOCK];

void arena_full(void) {
    static const char message[] = "ERROR: failed to launch: out of memory\n";
    ssize_t ignored = write(STDOUT_FILENO, message, sizeof message - 1);
    (void)ignored;
    _exit(OUT_OF_MEMORY_EXIT);
}

void *arena_alloc(Arena *arena, size_t count, size_t size) {
    if (size != 0 && count > (SIZE_MAX / 2) / size) {
        arena_full();
    }
    size_t needed = (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (arena->next == NULL) {
        arena->next = first_block;
        arena->left = FIRST_BLOCK;
    }
    if (needed > arena->left) {
        size_t room = needed > BLOCK ? needed : BLOCK;
        void *block = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED) {
            arena_full();
        }
        if (room - needed < arena->left) {
            return block;
        }
        arena->next = block;
        arena->left = room;
    }
    void *item = arena->next;
    arena->next += needed;
    arena->left -= needed;
    return item;
}
