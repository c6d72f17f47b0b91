/* Stands in for memory.c: one block for each item, so that a sanitizer sees a write behind its end. */
#include <stdint.h>
#include <stdlib.h>

#include "arena.h"
#include "fuzz.h"

typedef struct Block Block;
struct Block {
    Block *next;
    max_align_t data[];
};

static Block *blocks;

void arena_full(void) { abort(); }

void *arena_alloc(Arena *arena, size_t count, size_t size) {
    (void)arena;
    if (size != 0 && count > (SIZE_MAX - sizeof(Block)) / size) {
        arena_full();
    }
    Block *block = calloc(1, sizeof(Block) + count * size);
    if (block == NULL) {
        arena_full();
    }
    block->next = blocks;
    blocks = block;
    return block->data;
}

void fuzz_free(void) {
    while (blocks != NULL) {
        Block *next = blocks->next;
        free(blocks);
        blocks = next;
    }
}
