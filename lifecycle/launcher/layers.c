#include "layers.h"

#include <errno.h>
#include <string.h>

#include "execd.h"
#include "report.h"
#include "tree.h"

static Entries list(const Launch *launch, const char *doing, const char *directory, EntryKind kind) {
    Entries entries;
    if (!list_entries(launch->arena, directory, kind, &entries)) {
        die(launch->arena, EXIT_LAUNCH, "failed to launch: %s: failed to list files in dir '%s': %s", doing, directory,
            reason(launch->arena, errno));
    }
    return entries;
}

/* List the layers of a buildpack.  Spec: platform.md "Layers Directory": <layers>/<buildpack id, / as _>. */
static Entries layers_of(const Launch *launch, const char *doing, const Buildpack *buildpack) {
    char *escaped = arena_copy(launch->arena, buildpack->id, strlen(buildpack->id));
    for (char *c = escaped; *c != '\0'; c++) {
        *c = *c == '/' ? '_' : *c;
    }
    return list(launch, doing, path_join(launch->arena, launch->layers_dir, escaped), ENTRY_DIRECTORIES);
}

/* Return <directory>/<type>; NULL for what the user gives, and for types that would name another directory. */
static const char *typed(const Launch *launch, const Process *process, const char *directory) {
    static const char *const none[] = {"", ".", ".."};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        if (strcmp(process->type, none[i]) == 0) {
            return NULL;
        }
    }
    return path_join(launch->arena, directory, process->type);
}

/* List the files of <layer>/<name> and then of <layer>/<name>/<type>. */
static Words typed_files(const Launch *launch, const Process *process, const char *doing, const char *layer,
                         const char *name) {
    const char *directory = path_join(launch->arena, layer, name);
    Entries files = list(launch, doing, directory, ENTRY_FILES);
    const char *own = files.leads_on ? typed(launch, process, directory) : NULL;
    Entries own_files = own == NULL ? (Entries){0} : list(launch, doing, own, ENTRY_FILES);
    return words_concat(launch->arena, (Words){files.paths, files.count}, (Words){own_files.paths, own_files.count});
}

static void check(const Launch *launch, const char *doing, const char *problem) {
    if (problem != NULL) {
        die(launch->arena, EXIT_LAUNCH, "failed to launch: modify env: %s: %s", doing, problem);
    }
}

static Entries set_environment(const Launch *launch, const Process *process, Env *env, const Buildpack *buildpack) {
    Entries layers = layers_of(launch, "modify env", buildpack);
    for (size_t i = 0; i < layers.count; i++) {
        check(launch, "add layer root", env_add_layer_paths(env, layers.paths[i]));
    }
    for (size_t i = 0; i < layers.count; i++) {
        const char *for_launch = path_join(launch->arena, layers.paths[i], "env.launch");
        Entries files;
        check(launch, "add layer env", env_add_files(env, path_join(launch->arena, layers.paths[i], "env"), &files));
        check(launch, "add layer env", env_add_files(env, for_launch, &files));
        const char *own = files.leads_on ? typed(launch, process, for_launch) : NULL;
        check(launch, "add layer env", own == NULL ? NULL : env_add_files(env, own, &files));
    }
    return layers;
}

const Entries *layers_set_environment(const Launch *launch, const Process *process, Env *env) {
    size_t count = launch->metadata->buildpack_count;
    Entries *layers = arena_alloc(launch->arena, count + 1, sizeof *layers);
    for (size_t i = 0; i < count; i++) {
        layers[i] = set_environment(launch, process, env, &launch->metadata->buildpacks[i]);
    }
    return layers;
}

void layers_run_execd(const Launch *launch, const Process *process, Env *env, const Entries *layers) {
    bool ran = false;
    for (size_t i = 0; i < launch->metadata->buildpack_count; i++) {
        /* A program may have made layers. */
        Entries found = ran ? layers_of(launch, "exec.d", &launch->metadata->buildpacks[i]) : layers[i];
        for (size_t k = 0; k < found.count; k++) {
            Words programs = typed_files(launch, process, "exec.d", found.paths[k], "exec.d");
            ran = ran || programs.count > 0;
            for (size_t n = 0; n < programs.count; n++) {
                execd_run(env, programs.items[n]);
            }
        }
    }
}

Words layers_profiles(const Launch *launch, const Process *process) {
    Words all = {0};
    for (size_t i = 0; i < launch->metadata->buildpack_count; i++) {
        Entries layers = layers_of(launch, "find profiles", &launch->metadata->buildpacks[i]);
        for (size_t k = 0; k < layers.count; k++) {
            Words files = typed_files(launch, process, "find profiles", layers.paths[k], "profile.d");
            all = files.count == 0 ? all : words_concat(launch->arena, all, files);
        }
    }
    return all;
}
