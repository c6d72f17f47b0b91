/* The launcher: the entrypoint of every app image.  It prepares the environment that the buildpacks asked for and
 * replaces itself with the chosen process.  Spec: platform.md "launcher", buildpack.md "Launch". */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "env.h"
#include "layers.h"
#include "process.h"
#include "report.h"
#include "start.h"
#include "tree.h"

extern char **environ;

enum { OLDEST_PLATFORM_API = 7, NEWEST_PLATFORM_API = 15, OLDEST_BUILDPACK_API = 7, NEWEST_BUILDPACK_API = 12 };

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

/* Return the directory as given, absolute: what is started may have another working directory. */
static const char *app_dir(Arena *arena, const char *given) {
    return *given == '/' ? given : path_absolute(arena, given);
}

int main(int argc, char **argv) {
    Arena arena = {0};
    Launch launch = {.arena = &arena, .platform_minor = platform_api(&arena)};
    launch.layers_dir = path_absolute(&arena, input("CNB_LAYERS_DIR", "/layers"));
    launch.app_dir = app_dir(&arena, input("CNB_APP_DIR", "/workspace"));
    if (launch.layers_dir == NULL || launch.app_dir == NULL) {
        die(&arena, EXIT_LAUNCH, "failed to launch: getwd: %s", reason(&arena, errno));
    }
    launch.exec_env = input("CNB_EXEC_ENV", "production");
    Metadata metadata = {0};
    const char *problem = metadata_read(&arena, path_join(&arena, launch.layers_dir, "config/metadata.toml"), &metadata);
    if (problem != NULL) {
        die(&arena, EXIT_LAUNCH, "failed to read metadata: %s", problem);
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
    Words arguments = argc > 1 ? (Words){argv + 1, (size_t)argc - 1} : (Words){0};
    Process process = process_for(&launch, slash == NULL ? self : slash + 1, arguments);
    if (chdir(launch.app_dir) != 0) {
        die(&arena, EXIT_LAUNCH, "failed to launch: change to app directory: chdir %s: %s", launch.app_dir,
            reason(&arena, errno));
    }
    Env env;
    env_init(&env, &arena, environ);
    const Entries *layers = layers_set_environment(&launch, &process, &env);
    layers_run_execd(&launch, &process, &env, layers);
    if (*process.working_dir == '\0') {
        process.working_dir = launch.app_dir;
    }
    if (process.command.count == 0) {
        die(&arena, EXIT_LAUNCH, "failed to launch: no command provided for process type \"%s\"", process.type);
    }
    if (process.direct) {
        start_direct(&launch, &process, &env);
    }
    start_with_shell(&launch, &process, &env, self);
}
