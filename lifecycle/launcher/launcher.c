/* The launcher: the entrypoint of every app image.  It prepares the environment that the buildpacks asked for and
 * replaces itself with the chosen process.  Spec: platform.md "launcher", buildpack.md "Launch". */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "env.h"
#include "execd.h"
#include "process.h"
#include "report.h"
#include "tree.h"

extern char **environ;

enum { OLDEST_PLATFORM_API = 7, NEWEST_PLATFORM_API = 15, OLDEST_BUILDPACK_API = 7, NEWEST_BUILDPACK_API = 12 };

typedef void (*LayerAction)(const Launch *launch, Env *env, const Process *process, const char *layer);

static const char *input(const char *name, const char *fallback) {
    const char *value = getenv(name);
    return value == NULL || *value == '\0' ? fallback : value;
}

/* Spec: platform.md "Platform API Compatibility". */
static int platform_api(Arena *arena) {
    const char *version = input("CNB_PLATFORM_API", NULL);
    if (version == NULL) {
        die(arena, EXIT_PLATFORM_API,
            "failed to get platform API version; please set 'CNB_PLATFORM_API' to specify the desired platform API "
            "version");
    }
    int minor = api_minor(version, OLDEST_PLATFORM_API, NEWEST_PLATFORM_API);
    if (minor == -1) {
        die(arena, EXIT_PLATFORM_API, "failed to parse platform API '%s'", version);
    }
    if (minor < 0) {
        die(arena, EXIT_PLATFORM_API,
            "failed to set platform API: platform API version '%s' is incompatible with the lifecycle", version);
    }
    return minor;
}

static void check_buildpack_apis(Arena *arena, const Metadata *metadata) {
    for (size_t i = 0; i < metadata->buildpack_count; i++) {
        const Buildpack *each = &metadata->buildpacks[i];
        int minor = api_minor(each->api, OLDEST_BUILDPACK_API, NEWEST_BUILDPACK_API);
        if (minor == -1) {
            die(arena, EXIT_BUILDPACK_API, "failed to parse buildpack API '%s' for buildpack '%s@%s'", each->api,
                each->id, each->version);
        }
        if (minor < 0) {
            die(arena, EXIT_BUILDPACK_API,
                "failed to set API for Buildpack '%s@%s': buildpack API version '%s' is incompatible with the lifecycle",
                each->id, each->version, each->api);
        }
    }
}

static void each_layer(const Launch *launch, const Buildpack *buildpack, Env *env, const Process *process,
                       LayerAction action) {
    Entries layers;
    const char *directory = buildpack_dir(launch, buildpack);
    if (!list_entries(launch->arena, directory, ENTRY_DIRECTORIES, &layers)) {
        die(launch->arena, EXIT_LAUNCH, "failed to launch: failed to list files in dir '%s': %s", directory,
            reason(launch->arena, errno));
    }
    for (size_t i = 0; i < layers.count; i++) {
        action(launch, env, process, layers.paths[i]);
    }
}

static void layer_paths(const Launch *launch, Env *env, const Process *process, const char *layer) {
    (void)launch, (void)process;
    env_add_layer_paths(env, layer);
}

static void env_files(const Launch *launch, Env *env, const Process *process, const char *layer) {
    const char *for_launch = path_join(launch->arena, layer, "env.launch");
    const char *directories[] = {path_join(launch->arena, layer, "env"), for_launch,
                                 path_join(launch->arena, for_launch, process->type)};
    for (int i = 0; i < (*process->type == '\0' ? 2 : 3); i++) {
        const char *problem = env_add_files(env, directories[i]);
        if (problem != NULL) {
            die(launch->arena, EXIT_LAUNCH, "failed to launch: modify env: add layer env: %s", problem);
        }
    }
}

/* List the files of <layer>/<name> and then of <layer>/<name>/<type>. */
static Words typed_files(const Launch *launch, const Process *process, const char *layer, const char *name) {
    const char *directory = path_join(launch->arena, layer, name);
    Words all = {0};
    for (int typed = 0; typed < (*process->type == '\0' ? 1 : 2); typed++) {
        Entries files;
        const char *from = typed ? path_join(launch->arena, directory, process->type) : directory;
        if (!list_entries(launch->arena, from, ENTRY_FILES, &files)) {
            die(launch->arena, EXIT_LAUNCH, "failed to launch: failed to list files in dir '%s': %s", from,
                reason(launch->arena, errno));
        }
        all = words_concat(launch->arena, all, (Words){files.paths, files.count});
    }
    return all;
}

static void execd_files(const Launch *launch, Env *env, const Process *process, const char *layer) {
    Words files = typed_files(launch, process, layer, "exec.d");
    for (size_t i = 0; i < files.count; i++) {
        execd_run(env, files.items[i]);
    }
}

/* Find the program as a shell would, but never in the current directory by accident.  Reference: exec.LookPath. */
static const char *look_up(const Launch *launch, const Env *env, const char *word) {
    Arena *arena = launch->arena;
    if (strchr(word, '/') != NULL) {
        if (access(word, X_OK) != 0 || is_directory(word)) {
            int error = is_directory(word) ? EISDIR : errno;
            die(arena, EXIT_LAUNCH, "failed to launch: path lookup: exec: \"%s\": %s", word, reason(arena, error));
        }
        return word;
    }
    const char *path = env_get(env, "PATH");
    for (const char *at = path; *path != '\0' && *word != '\0';) {
        size_t length = strcspn(at, ":");
        const char *directory = length == 0 ? "." : arena_copy(arena, at, length);
        const char *candidate = path_join(arena, directory, word);
        if (access(candidate, X_OK) == 0 && !is_directory(candidate)) {
            if (*directory != '/') {
                die(arena, EXIT_LAUNCH,
                    "failed to launch: path lookup: exec: \"%s\": cannot run executable found relative to current "
                    "directory",
                    word);
            }
            return candidate;
        }
        if (at[length] == '\0') {
            break;
        }
        at += length + 1;
    }
    die(arena, EXIT_LAUNCH, "failed to launch: path lookup: exec: \"%s\": executable file not found in $PATH", word);
}

static _Noreturn void launch_direct(const Launch *launch, const Env *env, const Process *process) {
    const char *program = look_up(launch, env, process->command.items[0]);
    if (chdir(process->working_dir) != 0) {
        die(launch->arena, EXIT_LAUNCH, "failed to launch: change directory: chdir %s: %s", process->working_dir,
            reason(launch->arena, errno));
    }
    execve(program, words_concat(launch->arena, process->command, process->args).items, env_list(env));
    die(launch->arena, EXIT_LAUNCH, "failed to launch: direct exec: %s", reason(launch->arena, errno));
}

/* Return the script that makes bash run its arguments: a line when there are no args, else tokens that are each
 * evaluated.  Spec: buildpack.md (0.8) "Launch". */
static const char *bash_command(Arena *arena, size_t args) {
    if (args == 0) {
        return "exec bash -c \"$@\"";
    }
    const char *tokens = "\"$(eval echo \\\"$0\\\")\"";
    for (size_t n = 1; n <= args; n++) {
        tokens = arena_format(arena, "%s \"$(eval echo \\\"${%zu}\\\")\"", tokens, n);
    }
    return arena_format(arena, "exec bash -c '%s' \"${@:1}\"", tokens);
}

static _Noreturn void launch_with_shell(const Launch *launch, Env *env, const Process *process, const char *self) {
    Arena *arena = launch->arena;
    const char *script = "";
    for (size_t i = 0; i < launch->metadata->buildpack_count; i++) {
        Entries layers;
        const char *directory = buildpack_dir(launch, &launch->metadata->buildpacks[i]);
        if (!list_entries(arena, directory, ENTRY_DIRECTORIES, &layers)) {
            die(arena, EXIT_LAUNCH, "failed to launch: find profiles: failed to list files in dir '%s': %s", directory,
                reason(arena, errno));
        }
        for (size_t k = 0; k < layers.count; k++) {
            Words files = typed_files(launch, process, layers.paths[k], "profile.d");
            for (size_t n = 0; n < files.count; n++) {
                script = arena_format(arena, "%ssource \"%s\"\n", script, files.items[n]);
            }
        }
    }
    const char *profile = path_join(arena, launch->app_dir, ".profile");
    if (exists(profile) && !is_directory(profile)) {
        script = arena_format(arena, "%ssource \".profile\"\n", script);
    }
    script = arena_format(arena, "%scd \"%s\"\n%s", script, process->working_dir,
                          bash_command(arena, process->args.count));
    char *line = process->command.items[0];
    for (size_t i = 1; i < process->command.count; i++) {
        line = arena_format(arena, "%s %s", line, process->command.items[i]);
    }
    char *bash[] = {"bash", "-c", (char *)script, (char *)self, line};
    Words arguments = words_concat(arena, (Words){bash, sizeof bash / sizeof *bash}, process->args);
    execve("/bin/bash", arguments.items, env_list(env));
    die(arena, EXIT_LAUNCH, "failed to launch: bash exec: %s", reason(arena, errno));
}

int main(int argc, char **argv) {
    Arena arena = {0};
    Launch launch = {.arena = &arena, .platform_minor = platform_api(&arena)};
    const char *layers = input("CNB_LAYERS_DIR", "/layers");
    const char *app = input("CNB_APP_DIR", "/workspace");
    launch.layers_dir = path_absolute(&arena, layers);
    launch.app_dir = path_absolute(&arena, app);
    if (launch.layers_dir == NULL || launch.app_dir == NULL) {
        die(&arena, EXIT_LAUNCH, "failed to launch: getwd: %s", reason(&arena, errno));
    }
    launch.exec_env = input("CNB_EXEC_ENV", "production");
    Metadata metadata = {0};
    const char *problem = metadata_read(&arena, path_join(&arena, launch.layers_dir, "config/metadata.toml"), &metadata);
    if (problem != NULL) {
        die(&arena, EXIT_METADATA, "failed to read metadata: %s", problem);
    }
    check_buildpack_apis(&arena, &metadata);
    launch.metadata = &metadata;
    const char *wanted = getenv("CNB_PROCESS_TYPE");
    if (wanted != NULL && *wanted != '\0') {
        warn(&arena, "CNB_PROCESS_TYPE is not supported in Platform API 0.%d", launch.platform_minor);
        warn(&arena, "Run with ENTRYPOINT '%s' to invoke the '%s' process type", wanted, wanted);
    }
    const char *self = argc > 0 ? argv[0] : "launcher";
    const char *slash = strrchr(self, '/');
    Words arguments = argc > 1 ? (Words){argv + 1, (size_t)argc - 1} : (Words){argv + argc, 0};
    Process process = process_for(&launch, slash == NULL ? self : slash + 1, arguments);
    if (process.command.count == 0 || *process.command.items[0] == '\0') {
        die(&arena, EXIT_LAUNCH, "failed to launch: determine start command: no command provided for process type \"%s\"",
            process.type);
    }
    if (chdir(launch.app_dir) != 0) {
        die(&arena, EXIT_LAUNCH, "failed to launch: change to app directory: chdir %s: %s", launch.app_dir,
            reason(&arena, errno));
    }
    Env env;
    env_init(&env, &arena, environ);
    for (size_t i = 0; i < metadata.buildpack_count; i++) {
        each_layer(&launch, &metadata.buildpacks[i], &env, &process, layer_paths);
        each_layer(&launch, &metadata.buildpacks[i], &env, &process, env_files);
    }
    for (size_t i = 0; i < metadata.buildpack_count; i++) {
        each_layer(&launch, &metadata.buildpacks[i], &env, &process, execd_files);
    }
    if (*process.working_dir == '\0') {
        process.working_dir = launch.app_dir;
    }
    if (process.direct) {
        launch_direct(&launch, &env, &process);
    }
    launch_with_shell(&launch, &env, &process, self);
}
