/* Memory that lives until the process is replaced: nothing is freed singly, so nothing is freed twice. */
#ifndef ARENA_H
#define ARENA_H

#include <stdarg.h>
#include <stddef.h>

typedef struct {
    char *next; /* where the next item goes; NULL before the first one */
    size_t left;
} Arena;

/* A text that grows; start with {.arena = ...}. */
typedef struct {
    Arena *arena;
    char *text; /* terminated; NULL while nothing was added */
    size_t length;
    size_t room;
} Text;

/* Return zeroed memory for `count` items of `size` bytes; exits with 82 when there is none. */
void *arena_alloc(Arena *arena, size_t count, size_t size);
/* Return a terminated copy of `length` bytes. */
char *arena_copy(Arena *arena, const char *text, size_t length);
/* Return the texts as one. */
char *arena_concat(Arena *arena, const char *const parts[], size_t count);
char *arena_join(Arena *arena, const char *first, const char *second, const char *third);
/* Return the formatted text. */
char *arena_format(Arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vformat(Arena *arena, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));
/* Say that memory is used up, and exit with 82. */
_Noreturn void arena_full(void);

/* Add to the end; the cost doesn't depend on what is there. */
void text_add(Text *text, const char *more);
void text_append(Text *text, const char *more, size_t length);
/* Return the terminated text, "" when nothing was added. */
char *text_get(Text *text);

#endif
