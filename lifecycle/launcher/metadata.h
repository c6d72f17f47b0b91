/* <layers>/config/metadata.toml.  Spec: platform.md "metadata.toml (TOML)". */
#ifndef METADATA_H
#define METADATA_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"

typedef struct {
    char **items; /* ends with NULL */
    size_t count;
} Words;

typedef struct {
    const char *id;
    const char *version;
    const char *api;
} Buildpack;

typedef struct {
    const char *type; /* "" for what the user gives */
    Words command;
    Words args;
    bool direct;
    const char *buildpack_id;
    const char *working_dir;
    Words exec_env;
} Process;

typedef struct {
    Buildpack *buildpacks;
    size_t buildpack_count;
    Process *processes;
    size_t process_count;
} Metadata;

/* Read a document.  Returns NULL or what is wrong. */
const char *metadata_parse(Arena *arena, const char *text, size_t length, Metadata *metadata);
/* Read the file.  Returns NULL or what is wrong. */
const char *metadata_read(Arena *arena, const char *path, Metadata *metadata);
/* Return the words of both, in this order. */
Words words_concat(Arena *arena, Words left, Words right);

#endif
