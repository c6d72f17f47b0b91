/* Paths, directories and files. */
#ifndef TREE_H
#define TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"

typedef enum { ENTRY_DIRECTORIES, ENTRY_FILES } EntryKind;
typedef enum { PATH_MISSING, PATH_DIRECTORY, PATH_FILE, PATH_UNKNOWN } PathKind;

typedef struct {
    char **paths; /* directory and name, sorted by name bytewise */
    size_t count;
    bool leads_on; /* not all that is in it are regular files, so a path may lead through it */
} Entries;

/* Return `directory`/`name`. */
char *path_join(Arena *arena, const char *directory, const char *name);
/* Return the absolute path without ".", ".." and double slashes; NULL with errno when there is no cwd. */
char *path_absolute(Arena *arena, const char *path);
/* List directories (never links to them) or everything else.  A missing directory is empty; false sets errno. */
bool list_entries(Arena *arena, const char *directory, EntryKind kind, Entries *entries);
/* Say whether `path`, a directory and a name as they were listed, is among the entries. */
bool entries_hold(const Entries *entries, const char *path);
/* Say what a path leads to, through links; PATH_UNKNOWN sets errno. */
PathKind path_kind(const char *path);
/* Read until the end; NULL with errno, EISDIR for a directory, EFBIG beyond `limit`.  The text is terminated. */
char *read_path(Arena *arena, const char *path, size_t limit, size_t *length);

#endif
