#include "env.h"

#include <errno.h>
#include <string.h>

#include "report.h"
#include "tree.h"

enum { ENV_FILE_LIMIT = 16 << 20 };

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

void env_init(Env *env, Arena *arena, char **environment) {
    static const char *const own[] = {"CNB_LAYERS_DIR", "CNB_APP_DIR", "CNB_PROCESS_TYPE", "CNB_PLATFORM_API",
                                      "CNB_DEPRECATION_MODE"};
    *env = (Env){.arena = arena};
    env->end = &env->first;
    for (char **entry = environment; *entry != NULL; entry++) {
        const char *equals = strchr(*entry, '=');
        if (equals == NULL) {
            continue;
        }
        const char *name = arena_copy(arena, *entry, (size_t)(equals - *entry));
        bool hidden = false;
        for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
            hidden = hidden || strcmp(name, own[i]) == 0;
        }
        if (!hidden) {
            env_set(env, name, strcmp(name, "PATH") == 0 ? without_launcher_paths(arena, equals + 1) : equals + 1);
        }
    }
}

static Variable *find(const Env *env, const char *name) {
    Variable *each = env->first;
    while (each != NULL && strcmp(each->name, name) != 0) {
        each = each->next;
    }
    return each;
}

const char *env_get(const Env *env, const char *name) {
    const Variable *found = find(env, name);
    return found == NULL ? "" : found->value;
}

void env_set(Env *env, const char *name, const char *value) {
    Variable *found = find(env, name);
    if (found == NULL) {
        found = arena_alloc(env->arena, 1, sizeof *found);
        found->name = name;
        *env->end = found;
        env->end = &found->next;
    }
    found->value = value;
}

static void prepend(Env *env, const char *name, const char *value, const char *delimiter) {
    const char *old = env_get(env, name);
    env_set(env, name, arena_format(env->arena, "%s%s%s", value, *old == '\0' ? "" : delimiter, old));
}

void env_add_layer_paths(Env *env, const char *layer) {
    const char *bin = path_join(env->arena, layer, "bin");
    const char *lib = path_join(env->arena, layer, "lib");
    if (exists(bin)) {
        prepend(env, "PATH", bin, ":");
    }
    if (exists(lib)) {
        prepend(env, "LD_LIBRARY_PATH", lib, ":");
    }
}

static const char *delimiter(Env *env, const char *directory, const char *name, const char *fallback) {
    size_t length;
    const char *file = path_join(env->arena, directory, arena_format(env->arena, "%s.delim", name));
    const char *text = read_path(env->arena, file, ENV_FILE_LIMIT, &length);
    return text == NULL ? fallback : text;
}

static void apply(Env *env, const char *directory, const char *file, const char *value) {
    size_t length = strcspn(file, ".");
    const char *name = arena_copy(env->arena, file, length);
    const char *suffix = file + length;
    if (length == 0) {
        return;
    }
    if (*suffix == '\0' || strcmp(suffix, ".override") == 0) {
        env_set(env, name, value);
    } else if (strcmp(suffix, ".default") == 0) {
        if (*env_get(env, name) == '\0') {
            env_set(env, name, value);
        }
    } else if (strcmp(suffix, ".append") == 0) {
        const char *old = env_get(env, name);
        const char *between = *old == '\0' ? "" : delimiter(env, directory, name, "");
        env_set(env, name, arena_format(env->arena, "%s%s%s", old, between, value));
    } else if (strcmp(suffix, ".prepend") == 0) {
        prepend(env, name, value, delimiter(env, directory, name, ""));
    } else if (strcmp(suffix, ".") == 0) {
        prepend(env, name, value, delimiter(env, directory, name, ":"));
    }
}

const char *env_add_files(Env *env, const char *directory) {
    Entries files;
    if (!list_entries(env->arena, directory, ENTRY_FILES, &files)) {
        return arena_format(env->arena, "open %s: %s", directory, reason(env->arena, errno));
    }
    for (size_t i = 0; i < files.count; i++) {
        const char *path = files.paths[i];
        if (is_directory(path)) {
            continue;
        }
        size_t length;
        const char *value = read_path(env->arena, path, ENV_FILE_LIMIT, &length);
        if (value == NULL) {
            return arena_format(env->arena, "open %s: %s", path, reason(env->arena, errno));
        }
        if (strlen(value) != length) {
            return arena_format(env->arena, "%s: a variable can't hold a NUL byte", path);
        }
        apply(env, directory, strrchr(path, '/') + 1, value);
    }
    return NULL;
}

char **env_list(const Env *env) {
    size_t count = 0;
    for (const Variable *each = env->first; each != NULL; each = each->next) {
        count++;
    }
    char **list = arena_alloc(env->arena, count + 1, sizeof *list);
    size_t i = 0;
    for (const Variable *each = env->first; each != NULL; each = each->next) {
        list[i++] = arena_format(env->arena, "%s=%s", each->name, each->value);
    }
    return list;
}
