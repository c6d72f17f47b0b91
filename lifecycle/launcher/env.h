/* The launch environment.  Spec: buildpack.md "Environment". */
#ifndef ENV_H
#define ENV_H

#include "arena.h"
#include "tree.h"

typedef struct Variable Variable;

typedef struct {
    Arena *arena;
    Variable **buckets; /* by the hash of the name */
    Variable *first;    /* in the order in which the variables came */
    Variable **end;
    size_t count;
} Env;

/* Take the process environment without what is the launcher's own.  Spec: platform.md "Launch Environment". */
void env_init(Env *env, Arena *arena, char **environment);
/* Return a value, "" when unset. */
const char *env_get(const Env *env, const char *name);
void env_set(Env *env, const char *name, const char *value);
/* Apply bin/ and lib/ of a layer.  Spec: buildpack.md "Layer Paths".  Returns NULL or what went wrong. */
const char *env_add_layer_paths(Env *env, const char *layer);
/* Apply the files of a directory, and list them.  Spec: buildpack.md "Environment Variable Modification Rules".
 * Returns NULL or what went wrong. */
const char *env_add_files(Env *env, const char *directory, Entries *files);
/* Return NAME=value strings for execve. */
char **env_list(const Env *env);

#endif
