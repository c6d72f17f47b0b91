#include "env.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "report.h"

enum { ENV_FILE_LIMIT = 16 << 20, BUCKETS = 128 };

struct Variable {
    const char *entry; /* NAME=value, as execve takes it */
    size_t name_length;
    Variable *next;
    Variable *next_in_bucket;
};

/* The elements /cnb/process and /cnb/lifecycle are removed wherever they stand.  Reference: env.NewLaunchEnv. */
static const char *without_launcher_paths(Arena *arena, const char *path) {
    char *out = arena_alloc(arena, strlen(path) + 1, 1);
    size_t used = 0;
    bool any = false;
    for (const char *at = path;;) {
        size_t length = strcspn(at, ":");
        bool ours = (length == 12 && memcmp(at, "/cnb/process", 12) == 0) ||
                    (length == 14 && memcmp(at, "/cnb/lifecycle", 14) == 0);
        if (!ours) {
            if (any) {
                out[used++] = ':';
            }
            memcpy(out + used, at, length);
            used += length;
            any = true;
        }
        if (at[length] == '\0') {
            return out;
        }
        at += length + 1;
    }
}

/* Return where the variable hangs or would hang.  Hash: FNV-1a. */
static Variable **find(const Env *env, const char *name, size_t length) {
    uint32_t hash = 0x811c9dc5u;
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)name[i]) * 0x01000193u;
    }
    Variable **at = &env->buckets[(hash ^ hash >> 16) % BUCKETS];
    while (*at != NULL && !((*at)->name_length == length && memcmp((*at)->entry, name, length) == 0)) {
        at = &(*at)->next_in_bucket;
    }
    return at;
}

/* Let the variable whose name `entry` begins with be as `entry` says. */
static void put(Env *env, const char *entry, size_t length) {
    Variable **found = find(env, entry, length);
    if (*found == NULL) {
        Variable *made = arena_alloc(env->arena, 1, sizeof *made);
        made->name_length = length;
        *found = made;
        *env->end = made;
        env->end = &made->next;
        env->count++;
    }
    (*found)->entry = entry;
}

const char *env_get(const Env *env, const char *name) {
    const Variable *found = *find(env, name, strlen(name));
    return found == NULL ? "" : found->entry + found->name_length + 1;
}

/* Set a variable to the three texts as one: PATH is long, and each copy of it costs pages that nobody touched yet. */
static void set_joined(Env *env, const char *name, const char *first, const char *second, const char *third) {
    const char *const parts[] = {name, "=", first, second, third};
    put(env, arena_concat(env->arena, parts, sizeof parts / sizeof *parts), strlen(name));
}

void env_set(Env *env, const char *name, const char *value) { set_joined(env, name, value, "", ""); }

static bool is_name(const char *entry, size_t length, const char *name) {
    return strncmp(entry, name, length) == 0 && name[length] == '\0';
}

void env_init(Env *env, Arena *arena, char **environment) {
    static const char *const own[] = {"CNB_LAYERS_DIR", "CNB_APP_DIR", "CNB_PROCESS_TYPE", "CNB_PLATFORM_API",
                                      "CNB_DEPRECATION_MODE"};
    *env = (Env){.arena = arena, .buckets = arena_alloc(arena, BUCKETS, sizeof(Variable *))};
    env->end = &env->first;
    for (char **entry = environment; *entry != NULL; entry++) {
        const char *equals = strchr(*entry, '=');
        if (equals == NULL) {
            continue;
        }
        size_t length = (size_t)(equals - *entry);
        bool hidden = false;
        for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
            hidden = hidden || is_name(*entry, length, own[i]);
        }
        if (is_name(*entry, length, "PATH")) {
            env_set(env, "PATH", without_launcher_paths(arena, equals + 1));
        } else if (!hidden) {
            put(env, *entry, length);
        }
    }
}

static void prepend_path(Env *env, const char *name, const char *path) {
    const char *old = env_get(env, name);
    set_joined(env, name, path, *old == '\0' ? "" : ":", old);
}

static const char *add_path(Env *env, const char *layer, const char *directory, const char *name) {
    const char *path = path_join(env->arena, layer, directory);
    switch (path_kind(path)) {
    case PATH_MISSING:
        return NULL;
    case PATH_UNKNOWN:
        return arena_format(env->arena, "stat %s: %s", path, reason(env->arena, errno));
    case PATH_DIRECTORY:
    case PATH_FILE:
        break;
    }
    prepend_path(env, name, path);
    return NULL;
}

const char *env_add_layer_paths(Env *env, const char *layer) {
    const char *problem = add_path(env, layer, "bin", "PATH");
    return problem != NULL ? problem : add_path(env, layer, "lib", "LD_LIBRARY_PATH");
}

/* Read what is to stand in a variable; NULL for a directory, and where `problem` is set. */
static const char *read_value(Env *env, const char *path, const char **problem) {
    size_t length;
    const char *value = read_path(env->arena, path, ENV_FILE_LIMIT, &length);
    if (value == NULL && errno != EISDIR) {
        *problem = arena_format(env->arena, "open %s: %s", path, reason(env->arena, errno));
    } else if (value != NULL && strlen(value) != length) {
        *problem = arena_format(env->arena, "%s: a variable can't hold a NUL byte", path);
        value = NULL;
    }
    return value;
}

typedef enum { ACTION_NONE, ACTION_SET, ACTION_DEFAULT, ACTION_APPEND, ACTION_PREPEND, ACTION_PREPEND_PATH } Action;

/* Say what the text behind a file's first dot asks for; a lone dot is a quirk of the reference. */
static Action action_of(const char *suffix) {
    static const struct {
        const char *suffix;
        Action action;
    } actions[] = {{"", ACTION_SET},
                   {".override", ACTION_SET},
                   {".default", ACTION_DEFAULT},
                   {".append", ACTION_APPEND},
                   {".prepend", ACTION_PREPEND},
                   {".", ACTION_PREPEND_PATH}};
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(suffix, actions[i].suffix) == 0) {
            return actions[i].action;
        }
    }
    return ACTION_NONE;
}

static const char *apply(Env *env, const char *directory, const Entries *files, const char *path) {
    const char *file = strrchr(path, '/') + 1;
    const char *name = arena_copy(env->arena, file, strcspn(file, "."));
    Action action = *name == '\0' ? ACTION_NONE : action_of(file + strlen(name));
    const char *problem = NULL;
    if (action == ACTION_NONE) {
        return NULL;
    }
    const char *value = read_value(env, path, &problem);
    if (value == NULL) {
        return problem;
    }
    const char *old = env_get(env, name);
    const char *delimiter = action == ACTION_PREPEND_PATH ? ":" : "";
    const char *given = path_join(env->arena, directory, arena_join(env->arena, name, ".delim", ""));
    if (*old == '\0') {
        delimiter = "";
    } else if ((action == ACTION_APPEND || action == ACTION_PREPEND || action == ACTION_PREPEND_PATH) &&
               entries_hold(files, given) && path_kind(given) == PATH_FILE) {
        const char *own = read_value(env, given, &problem);
        if (problem != NULL) {
            return problem;
        }
        delimiter = own == NULL ? delimiter : own;
    }
    switch (action) {
    case ACTION_APPEND:
        set_joined(env, name, old, delimiter, value);
        break;
    case ACTION_PREPEND:
    case ACTION_PREPEND_PATH:
        set_joined(env, name, value, delimiter, old);
        break;
    case ACTION_DEFAULT:
        if (*old == '\0') {
            env_set(env, name, value);
        }
        break;
    case ACTION_SET:
        env_set(env, name, value);
        break;
    case ACTION_NONE:
        break;
    }
    return NULL;
}

const char *env_add_files(Env *env, const char *directory, Entries *files) {
    if (!list_entries(env->arena, directory, ENTRY_FILES, files)) {
        return arena_format(env->arena, "open %s: %s", directory, reason(env->arena, errno));
    }
    for (size_t i = 0; i < files->count; i++) {
        const char *problem = apply(env, directory, files, files->paths[i]);
        if (problem != NULL) {
            return problem;
        }
    }
    return NULL;
}

char **env_list(const Env *env) {
    char **list = arena_alloc(env->arena, env->count + 1, sizeof *list);
    size_t i = 0;
    for (const Variable *each = env->first; each != NULL; each = each->next) {
        list[i++] = (char *)each->entry;
    }
    return list;
}
