/* The layout of an executable that carries Python, and files in memory that libraries are loaded from. */
#ifndef CARRIED_H
#define CARRIED_H

#include <stddef.h>
#include <stdint.h>

#define CARRIED_MAGIC "CNBLIFE1"

/* What a record of the table is for; lifecycle/dist/executable.py writes the same numbers. */
enum kind { KIND_LOADER = 0, KIND_PROGRAM = 1, KIND_LIBRARY = 2, KIND_FROZEN = 3 };

struct record {
    char name[40];
    uint64_t kind;
    uint64_t offset;
    uint64_t size;
};

/* The last bytes of the file. */
struct trailer {
    char magic[8];
    uint64_t table_offset;
    uint64_t table_count;
    uint64_t index_offset;
    uint64_t index_size;
};

#define MAX_RECORDS 64

/* Stands for the first letter of a variable that the loader must not see. */
#define HIDDEN '\1'

/* Reads the trailer and table; returns the number of records, or -1 when the file carries nothing. */
int read_table(int fd, struct trailer *trailer, struct record records[MAX_RECORDS]);

/* Copies a part of the file `from` into a nameless file that programs may be run from; returns its descriptor, open for
   reading only where the kernel asks for it, or -1 after having written why to standard error. */
int nameless_copy(int from, const char *name, uint64_t offset, uint64_t size);

#endif
