#include "arena.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

char *arena_copy(Arena *arena, const char *text, size_t length) {
    if (length == SIZE_MAX) {
        arena_full();
    }
    char *copy = arena_alloc(arena, length + 1, 1);
    if (length != 0) {
        memcpy(copy, text, length);
    }
    return copy;
}

char *arena_concat(Arena *arena, const char *const parts[], size_t count) {
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        size_t more = strlen(parts[i]);
        if (more >= SIZE_MAX / 4 - length) {
            arena_full();
        }
        length += more;
    }
    char *text = arena_alloc(arena, length + 1, 1);
    char *at = text;
    for (size_t i = 0; i < count; i++) {
        at = stpcpy(at, parts[i]);
    }
    return text;
}

char *arena_join(Arena *arena, const char *first, const char *second, const char *third) {
    const char *const parts[] = {first, second, third};
    return arena_concat(arena, parts, sizeof parts / sizeof *parts);
}

char *arena_vformat(Arena *arena, const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0) {
        arena_full();
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

void text_append(Text *text, const char *more, size_t length) {
    if (length >= SIZE_MAX / 4 - text->length) {
        arena_full();
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
