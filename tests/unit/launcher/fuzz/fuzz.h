/* What the fuzz targets share. */
#ifndef FUZZ_H
#define FUZZ_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

/* Where die() goes instead of ending the process. */
extern jmp_buf fuzz_died;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Return a copy with nothing behind it, so that a sanitizer sees a read behind its end. */
char *fuzz_copy(const uint8_t *data, size_t size);
/* Give back all that arenas gave. */
void fuzz_free(void);

#endif
