/* What the launcher tells its user, on standard output as the reference does, and how it gives up. */
#ifndef REPORT_H
#define REPORT_H

#include "arena.h"

enum { EXIT_PLATFORM_API = 11, EXIT_BUILDPACK_API = 12, EXIT_LAUNCH = 82 };

/* Print one "Warning: " line. */
void warn(Arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Print one "ERROR: " line and exit. */
_Noreturn void die(Arena *arena, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Return the text of an errno with a small first letter. */
const char *reason(Arena *arena, int error);

#endif
