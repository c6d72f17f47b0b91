#include "arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OUT_OF_MEMORY_EXIT = 82 };

struct ArenaBlock {
    ArenaBlock *next;
    max_align_t data[];
};

static _Noreturn void out_of_memory(void) {
    static const char message[] = "ERROR: failed to launch: out of memory\n";
    ssize_t ignored = write(STDOUT_FILENO, message, sizeof message - 1);
    (void)ignored;
    _exit(OUT_OF_MEMORY_EXIT);
}

void *arena_alloc(Arena *arena, size_t count, size_t size) {
    if (size != 0 && count > (SIZE_MAX - sizeof(ArenaBlock)) / size) {
        out_of_memory();
    }
    ArenaBlock *block = calloc(1, sizeof(ArenaBlock) + count * size);
    if (block == NULL) {
        out_of_memory();
    }
    block->next = arena->blocks;
    arena->blocks = block;
    return block->data;
}

char *arena_copy(Arena *arena, const char *text, size_t length) {
    if (length == SIZE_MAX) {
        out_of_memory();
    }
    char *copy = arena_alloc(arena, length + 1, 1);
    if (length != 0) {
        memcpy(copy, text, length);
    }
    return copy;
}

char *arena_vformat(Arena *arena, const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0) {
        out_of_memory();
    }
    char *text = arena_alloc(arena, (size_t)length + 1, 1);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    return text;
}

char *arena_format(Arena *arena, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *text = arena_vformat(arena, format, arguments);
    va_end(arguments);
    return text;
}

void arena_free(Arena *arena) {
    while (arena->blocks != NULL) {
        ArenaBlock *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
}

void text_append(Text *text, const char *more, size_t length) {
    if (length >= SIZE_MAX / 4 - text->length) {
        out_of_memory();
    }
    if (text->length + length >= text->room) {
        text->room = (text->length + length + 1) * 2;
        char *larger = arena_alloc(text->arena, text->room, 1);
        if (text->length != 0) {
            memcpy(larger, text->text, text->length);
        }
        text->text = larger;
    }
    memcpy(text->text + text->length, more, length);
    text->length += length;
    text->text[text->length] = '\0';
}

void text_add(Text *text, const char *more) { text_append(text, more, strlen(more)); }

char *text_get(Text *text) {
    text_add(text, "");
    return text->text;
}
