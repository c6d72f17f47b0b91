#include "report.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* CNB_NO_COLOR is a boolean.  Reference: the words that Go's strconv.ParseBool takes for true. */
static bool colourless(void) {
    static const char *const truths[] = {"1", "t", "T", "true", "TRUE", "True"};
    const char *value = getenv("CNB_NO_COLOR");
    for (size_t i = 0; value != NULL && i < sizeof truths / sizeof *truths; i++) {
        if (strcmp(value, truths[i]) == 0) {
            return true;
        }
    }
    return false;
}

__attribute__((format(printf, 4, 0))) static void print(Arena *arena, const char *prefix, const char *colour,
                                                        const char *format, va_list arguments) {
    const char *message = arena_vformat(arena, format, arguments);
    const char *line = colourless() ? arena_format(arena, "%s%s\n", prefix, message)
                                    : arena_format(arena, "\033[%s;1m%s\033[0m%s\n", colour, prefix, message);
    size_t left = strlen(line);
    while (left > 0) {
        ssize_t written = write(STDOUT_FILENO, line, left);
        if (written > 0) {
            line += written;
            left -= (size_t)written;
        } else if (written < 0 && errno == EAGAIN) {
            (void)poll(&(struct pollfd){.fd = STDOUT_FILENO, .events = POLLOUT}, 1, -1);
        } else if (written == 0 || errno != EINTR) {
            return;
        }
    }
}

void warn(Arena *arena, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    print(arena, "Warning: ", "33", format, arguments);
    va_end(arguments);
}

void die(Arena *arena, int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    print(arena, "ERROR: ", "31", format, arguments);
    va_end(arguments);
    _exit(code);
}

const char *reason(Arena *arena, int error) {
    char *text = arena_format(arena, "%s", strerror(error));
    if (text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'a' && text[1] <= 'z') {
        text[0] = (char)(text[0] - 'A' + 'a');
    }
    return text;
}
