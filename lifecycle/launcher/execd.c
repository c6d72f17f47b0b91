#define _GNU_SOURCE /* pipe2, ppoll */
#include "execd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"
#include "toml.h"
#include "tree.h"

enum { OUTPUT_DESCRIPTOR = 3, FIRST_FREE_DESCRIPTOR = 4, OUTPUT_LIMIT = 4 << 20, SIGNALLED_EXIT = 128 };

/* The signals that are handled while a program runs: its end, and those that would end the launcher.  As process 1 of
 * a container the launcher gets no default action, so without a handler `docker stop` would wait in vain. */
static const int handled[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT};
enum { HANDLED = sizeof handled / sizeof *handled };

static volatile sig_atomic_t ended_by;

static void note(int number) {
    if (number != SIGCHLD) {
        ended_by = number;
    }
}

typedef struct {
    sigset_t mask;
    struct sigaction actions[HANDLED];
} Signals;

/* Block what is handled, so that it arrives in ppoll alone. */
static void signals_take(Signals *before) {
    sigset_t blocked;
    sigemptyset(&blocked);
    struct sigaction action = {.sa_handler = note};
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < HANDLED; i++) {
        sigaction(handled[i], NULL, &before->actions[i]);
        if (handled[i] == SIGCHLD || before->actions[i].sa_handler != SIG_IGN) {
            sigaddset(&blocked, handled[i]);
        }
    }
    sigprocmask(SIG_BLOCK, &blocked, &before->mask);
    for (size_t i = 0; i < HANDLED; i++) {
        if (sigismember(&blocked, handled[i])) {
            sigaction(handled[i], &action, NULL);
        }
    }
}

static void signals_give_back(const Signals *before) {
    for (size_t i = 0; i < HANDLED; i++) {
        sigaction(handled[i], &before->actions[i], NULL);
    }
    sigprocmask(SIG_SETMASK, &before->mask, NULL);
}

static _Noreturn void failed(Env *env, const char *path, const char *why) {
    die(env->arena, EXIT_LAUNCH, "failed to launch: exec.d: failed to execute exec.d file at path '%s': %s", path, why);
}

/* Make a pipe whose ends are none of the descriptors 0 to 3, also where the launcher was started without them. */
static int high_pipe(int ends[2]) {
    int low[2];
    if (pipe2(low, O_CLOEXEC) != 0) {
        return errno;
    }
    int error = 0;
    for (int i = 0; i < 2; i++) {
        ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, FIRST_FREE_DESCRIPTOR);
        error = ends[i] < 0 ? errno : error;
    }
    close(low[0]);
    close(low[1]);
    return error;
}

/* Start the program with nothing on descriptor 0 (where /dev/null exists) and `output` as descriptor 3. */
static int start(const Env *env, const char *path, int output, const Signals *before, pid_t *child) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &before->mask);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int error = 0;
    if (access("/dev/null", R_OK) == 0) {
        error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    }
    if (error == 0) {
        error = posix_spawn_file_actions_adddup2(&actions, output, OUTPUT_DESCRIPTOR);
    }
    if (error == 0) {
        char *const arguments[] = {(char *)path, NULL};
        error = posix_spawn(child, path, &actions, &attributes, arguments, env_list(env));
    }
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error;
}

static bool has_ended(pid_t child, int *status) { return waitpid(child, status, WNOHANG) == child; }

/* Pass on the signal that ends the launcher, and end.  Process 1 does not end by a signal, and an emulator that is
 * process 1 would wait for it. */
static _Noreturn void end(pid_t child, const Signals *before) {
    int number = ended_by;
    kill(child, number);
    signals_give_back(before);
    if (getpid() != 1) {
        raise(number);
    }
    _exit(SIGNALLED_EXIT + number);
}

/* Read what the program writes until it ends: what it left running in the background may keep the descriptor open for
 * ever.  Returns 0 or an errno; the program has ended then or is killed. */
static int read_output(pid_t child, int input, const Signals *before, Text *output, int *status) {
    char buffer[4096];
    bool open = true;
    bool ended = false;
    int left = 0; /* bytes in the pipe when the program ended */
    int error = 0;
    while (error == 0 && !(ended && (!open || left <= 0))) {
        if (!ended && has_ended(child, status)) {
            ended = true;
            error = open && ioctl(input, FIONREAD, &left) != 0 ? errno : 0;
            continue;
        }
        struct pollfd readable = {.fd = open ? input : -1, .events = POLLIN};
        if (!ended && ppoll(&readable, 1, NULL, &before->mask) < 0) {
            error = errno == EINTR ? 0 : errno;
            if (ended_by != 0) {
                end(child, before);
            }
            continue;
        }
        ssize_t got = read(input, buffer, sizeof buffer);
        if (got > 0) {
            text_append(output, buffer, (size_t)got);
            left -= (int)got;
            error = output->length > OUTPUT_LIMIT ? EFBIG : 0;
        } else if (got == 0) {
            open = false;
        } else if (errno != EINTR) {
            error = errno;
        }
    }
    if (!ended) {
        kill(child, SIGKILL);
    }
    return error;
}

void execd_run(Env *env, const char *path) {
    int ends[2] = {-1, -1};
    int error = high_pipe(ends);
    if (error != 0) {
        failed(env, path, reason(env->arena, error));
    }
    Signals before;
    signals_take(&before);
    pid_t child;
    error = start(env, path, ends[1], &before, &child);
    close(ends[1]);
    if (error != 0) {
        failed(env, path, reason(env->arena, error));
    }
    Text output = {.arena = env->arena};
    int status = 0;
    error = read_output(child, ends[0], &before, &output, &status);
    close(ends[0]);
    signals_give_back(&before);
    if (error != 0) {
        failed(env, path,
               error == EFBIG ? arena_format(env->arena, "more than %d bytes of output", OUTPUT_LIMIT)
                              : reason(env->arena, error));
    }
    if (status != 0) {
        failed(env, path,
               WIFSIGNALED(status) ? arena_format(env->arena, "signal %d", WTERMSIG(status))
                                   : arena_format(env->arena, "exit status %d", WEXITSTATUS(status)));
    }
    const char *problem = execd_apply(env, text_get(&output), output.length);
    if (problem != NULL) {
        die(env->arena, EXIT_LAUNCH,
            "failed to launch: exec.d: failed to decode output from exec.d file at path '%s': %s", path, problem);
    }
}

const char *execd_apply(Env *env, const char *output, size_t length) {
    TomlValue root;
    const char *problem = toml_parse(env->arena, output, length, &root);
    for (const TomlItem *item = root.first; item != NULL && problem == NULL; item = item->next) {
        if (item->value.kind != TOML_STRING) {
            problem = arena_format(env->arena, "the value of %s is not a string", item->key);
        } else if (item->key_length == 0 || strlen(item->key) != item->key_length || strchr(item->key, '=') != NULL ||
                   strlen(item->value.text) != item->value.length) {
            problem = arena_format(env->arena, "%s can't be an environment variable", item->key);
        }
    }
    for (const TomlItem *item = root.first; item != NULL && problem == NULL; item = item->next) {
        env_set(env, item->key, item->value.text);
    }
    return problem;
}
