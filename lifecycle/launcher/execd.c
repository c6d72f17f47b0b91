#define _GNU_SOURCE /* pipe2 */
#include "execd.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"
#include "toml.h"
#include "tree.h"

enum { OUTPUT_DESCRIPTOR = 3, OUTPUT_LIMIT = 4 << 20 };

static _Noreturn void failed(Env *env, const char *path, const char *why) {
    die(env->arena, EXIT_LAUNCH, "failed to launch: exec.d: failed to execute exec.d file at path '%s': %s", path, why);
}

static _Noreturn void undecodable(Env *env, const char *path, const char *why) {
    die(env->arena, EXIT_LAUNCH, "failed to launch: exec.d: failed to decode output from exec.d file at path '%s': %s",
        path, why);
}

/* Start the program with nothing on descriptor 0 (where /dev/null exists) and `output` as descriptor 3. */
static int start(Env *env, const char *path, int output, pid_t *child) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    int error = 0;
    if (access("/dev/null", R_OK) == 0) {
        error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    }
    if (error == 0) {
        error = posix_spawn_file_actions_adddup2(&actions, output, OUTPUT_DESCRIPTOR);
    }
    if (error == 0) {
        char *const arguments[] = {(char *)path, NULL};
        error = posix_spawn(child, path, &actions, NULL, arguments, env_list(env));
    }
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

void execd_run(Env *env, const char *path) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        failed(env, path, reason(env->arena, errno));
    }
    pid_t child;
    int error = start(env, path, ends[1], &child);
    close(ends[1]);
    if (error != 0) {
        failed(env, path, reason(env->arena, error));
    }
    size_t length;
    const char *output = read_descriptor(env->arena, ends[0], OUTPUT_LIMIT, &length);
    error = output == NULL ? errno : 0;
    close(ends[0]);
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            failed(env, path, reason(env->arena, errno));
        }
    }
    if (error != 0) {
        failed(env, path, reason(env->arena, error));
    }
    if (status != 0) {
        failed(env, path,
               WIFSIGNALED(status) ? arena_format(env->arena, "signal %d", WTERMSIG(status))
                                   : arena_format(env->arena, "exit status %d", WEXITSTATUS(status)));
    }
    TomlValue root;
    const char *problem = toml_parse(env->arena, output, length, &root);
    if (problem != NULL) {
        undecodable(env, path, problem);
    }
    for (const TomlItem *item = root.first; item != NULL; item = item->next) {
        if (item->value.kind != TOML_STRING) {
            undecodable(env, path, arena_format(env->arena, "the value of %s is not a string", item->key));
        }
        if (item->key_length == 0 || strlen(item->key) != item->key_length || strchr(item->key, '=') != NULL ||
            strlen(item->value.text) != item->value.length) {
            undecodable(env, path, arena_format(env->arena, "%s can't be an environment variable", item->key));
        }
    }
    for (const TomlItem *item = root.first; item != NULL; item = item->next) {
        env_set(env, item->key, item->value.text);
    }
}
