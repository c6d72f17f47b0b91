#include "start.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "layers.h"
#include "report.h"
#include "tree.h"

/* Say why a path can't be executed; 0 when it can. */
static int obstacle(const char *path) {
    if (access(path, X_OK) != 0) {
        return errno;
    }
    return path_kind(path) == PATH_DIRECTORY ? EISDIR : 0;
}

/* Find the program as a shell would, but never in the current directory by accident.  Reference: exec.LookPath. */
static const char *look_up(const Launch *launch, const Env *env, const char *word) {
    Arena *arena = launch->arena;
    if (strchr(word, '/') != NULL) {
        int error = obstacle(word);
        if (error != 0) {
            die(arena, EXIT_LAUNCH, "failed to launch: path lookup: exec: \"%s\": %s", word, reason(arena, error));
        }
        return word;
    }
    const char *path = env_get(env, "PATH");
    for (const char *at = path; *path != '\0' && *word != '\0';) {
        size_t length = strcspn(at, ":");
        const char *directory = length == 0 ? "." : arena_copy(arena, at, length);
        const char *candidate = path_join(arena, directory, word);
        if (obstacle(candidate) == 0) {
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

void start_direct(const Launch *launch, const Process *process, const Env *env) {
    const char *program = look_up(launch, env, process->command.items[0]);
    /* The app directory is where this process is. */
    if (process->working_dir != launch->app_dir && chdir(process->working_dir) != 0) {
        die(launch->arena, EXIT_LAUNCH, "failed to launch: change directory: chdir %s: %s", process->working_dir,
            reason(launch->arena, errno));
    }
    execve(program, words_concat(launch->arena, process->command, process->args).items, env_list(env));
    die(launch->arena, EXIT_LAUNCH, "failed to launch: direct exec: %s: %s", program, reason(launch->arena, errno));
}

/* Add what makes bash run its arguments: a script when there are no args, else tokens that are each evaluated. */
static void add_command(Text *script, size_t args) {
    if (args == 0) {
        text_add(script, "exec bash -c \"$@\"");
        return;
    }
    text_add(script, "exec bash -c '\"$(eval echo \\\"$0\\\")\"");
    for (size_t n = 1; n <= args; n++) {
        text_add(script, arena_format(script->arena, " \"$(eval echo \\\"${%zu}\\\")\"", n));
    }
    text_add(script, "' \"${@:1}\"");
}

/* Add a line that sources a file whose name may hold anything. */
static void add_source(Text *script, const char *path) {
    text_add(script, "source \"");
    for (const char *c = path; *c != '\0'; c++) {
        if (strchr("\\\"$`", *c) != NULL) {
            text_add(script, "\\");
        }
        text_append(script, c, 1);
    }
    text_add(script, "\"\n");
}

static void add_profiles(const Launch *launch, const Process *process, Text *script) {
    Words profiles = layers_profiles(launch, process);
    for (size_t i = 0; i < profiles.count; i++) {
        add_source(script, profiles.items[i]);
    }
    const char *profile = path_join(launch->arena, launch->app_dir, ".profile");
    switch (path_kind(profile)) {
    case PATH_FILE:
        add_source(script, profile);
        break;
    case PATH_UNKNOWN:
        die(launch->arena, EXIT_LAUNCH,
            "failed to launch: find profiles: failed to determine if app profile script exists at path '%s': %s",
            profile, reason(launch->arena, errno));
    case PATH_MISSING:
    case PATH_DIRECTORY:
        break;
    }
}

void start_with_shell(const Launch *launch, const Process *process, const Env *env, const char *self) {
    Arena *arena = launch->arena;
    Text script = {.arena = arena};
    add_profiles(launch, process, &script);
    text_add(&script, arena_format(arena, "cd \"%s\"\n", process->working_dir));
    add_command(&script, process->args.count);
    Text line = {.arena = arena};
    for (size_t i = 0; i < process->command.count; i++) {
        text_add(&line, i == 0 ? "" : " ");
        text_add(&line, process->command.items[i]);
    }
    char *bash[] = {"bash", "-c", text_get(&script), (char *)self, text_get(&line)};
    Words arguments = words_concat(arena, (Words){bash, sizeof bash / sizeof *bash}, process->args);
    execve("/bin/bash", arguments.items, env_list(env));
    int error = errno;
    die(arena, EXIT_LAUNCH, "failed to launch: bash exec: /bin/bash: %s%s", reason(arena, error),
        error == ENOENT ? " (this process needs bash, which the run image doesn't have; direct processes don't)" : "");
}
