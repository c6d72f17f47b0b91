/* Stands in for report.c: nothing is printed, and die() returns to the target. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"

jmp_buf fuzz_died;

char *fuzz_copy(const uint8_t *data, size_t size) {
    char *copy = malloc(size == 0 ? 1 : size);
    if (copy == NULL) {
        abort();
    }
    if (size != 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

void warn(Arena *arena, const char *format, ...) {
    (void)arena;
    (void)format;
}

void die(Arena *arena, int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const char *message = arena_vformat(arena, format, arguments);
    va_end(arguments);
    if (code != EXIT_LAUNCH || strlen(message) == 0) {
        abort();
    }
    longjmp(fuzz_died, 1);
}

const char *reason(Arena *arena, int error) { return arena_format(arena, "%s", strerror(error)); }
