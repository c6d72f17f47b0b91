/* A TOML 1.0 reader.  Strings and booleans keep their value; numbers and dates are checked and kept as "other",
 * for neither metadata.toml nor exec.d output gives the launcher one that it uses.  Spec: toml.io v1.0.0. */
#ifndef TOML_H
#define TOML_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"

enum { TOML_MAX_DEPTH = 100 };

typedef enum { TOML_OTHER, TOML_STRING, TOML_BOOLEAN, TOML_ARRAY, TOML_TABLE } TomlKind;

typedef struct TomlItem TomlItem;

typedef struct {
    TomlKind kind;
    bool boolean;
    bool header;    /* a table named by its own [header] */
    bool dotted;    /* a table made by a dotted key */
    bool closed;    /* an inline table or a written-out array: nothing may be added */
    const char *text; /* of a string; may hold NUL bytes, see `length` */
    size_t length;
    TomlItem *first; /* of an array or table, in document order */
    TomlItem *last;
} TomlValue;

struct TomlItem {
    const char *key; /* terminated; may hold NUL bytes, see `key_length`; "" in an array */
    size_t key_length;
    const TomlValue *table; /* whose key it is; NULL in an array */
    TomlValue value;
    TomlItem *next;
};

/* Read a document into `root`.  Returns NULL, or what is wrong, with its line. */
const char *toml_parse(Arena *arena, const char *text, size_t length, TomlValue *root);
/* Return the value of a key, or NULL. */
const TomlValue *toml_get(const TomlValue *table, const char *key);

#endif
