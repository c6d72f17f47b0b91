#include "process.h"

#include <string.h>

#include "report.h"
#include "tree.h"

enum {
    ARGUMENTS_REPLACE_PLATFORM = 10, /* Platform API from which user arguments may replace default ones */
    ARGUMENTS_REPLACE_BUILDPACK = 9, /* Buildpack API from which they do */
    EXEC_ENV_PLATFORM = 15,
    OLDEST_BUILDPACK_API = 7,
    NEWEST_BUILDPACK_API = 12
};

/* The number at `*at`, at most 9999; -1 when there is no digit. */
static int number(const char **at) {
    int value = -1;
    for (; **at >= '0' && **at <= '9'; ++*at) {
        value = (value < 0 ? 0 : value) * 10 + (**at - '0');
        value = value > 9999 ? 9999 : value;
    }
    return value;
}

int api_minor(const char *version, int oldest, int newest) {
    const char *at = version + (*version == 'v');
    int major = number(&at);
    at += major >= 0 && *at == '.';
    int minor = number(&at);
    if (major < 0 || *at != '\0') {
        return -1;
    }
    return major == 0 && minor >= oldest && minor <= newest ? minor : -2;
}

/* Spec: platform.md "launcher": no exec-env, the current value, or "*". */
static bool eligible(const Launch *launch, const Process *process) {
    if (launch->platform_minor < EXEC_ENV_PLATFORM || process->exec_env.count == 0) {
        return true;
    }
    for (size_t i = 0; i < process->exec_env.count; i++) {
        const char *each = process->exec_env.items[i];
        if (strcmp(each, "*") == 0 || strcmp(each, launch->exec_env) == 0) {
            return true;
        }
    }
    return false;
}

static Process user_process(const Launch *launch, Words arguments) {
    if (arguments.count == 0) {
        die(launch->arena, EXIT_LAUNCH,
            "failed to launch: determine start command: when there is no default process a command is required");
    }
    bool direct = arguments.count > 1 && strcmp(arguments.items[0], "--") == 0;
    Process process = {.type = "", .buildpack_id = "", .working_dir = "", .direct = direct};
    char **word = arguments.items + (direct ? 1 : 0);
    process.command.items = arena_alloc(launch->arena, 2, sizeof(char *));
    process.command.items[0] = word[0];
    process.command.count = 1;
    process.args = (Words){word + 1, arguments.count - (direct ? 2 : 1)};
    return process;
}

static bool arguments_replace(const Launch *launch, const Process *process) {
    for (size_t i = 0; i < launch->metadata->buildpack_count; i++) {
        const Buildpack *each = &launch->metadata->buildpacks[i];
        if (strcmp(each->id, process->buildpack_id) == 0) {
            return api_minor(each->api, OLDEST_BUILDPACK_API, NEWEST_BUILDPACK_API) >= ARGUMENTS_REPLACE_BUILDPACK;
        }
    }
    die(launch->arena, EXIT_LAUNCH,
        "failed to launch: determine start command: failed to find buildpack for process %s with buildpack ID %s",
        process->type, process->buildpack_id);
}

static Process with_arguments(const Launch *launch, Process process, Words arguments) {
    if (launch->platform_minor < ARGUMENTS_REPLACE_PLATFORM) {
        process.args = words_concat(launch->arena, process.args, arguments);
    } else if (process.command.count > 1) {
        Words fixed = {process.command.items + 1, process.command.count - 1};
        process.args = words_concat(launch->arena, fixed, arguments.count > 0 ? arguments : process.args);
        process.command = words_concat(launch->arena, (Words){process.command.items, 1}, (Words){NULL, 0});
    } else if (arguments.count > 0) {
        process.args = arguments_replace(launch, &process)
                           ? arguments
                           : words_concat(launch->arena, process.args, arguments);
    }
    return process;
}

Process process_for(const Launch *launch, const char *name, Words arguments) {
    bool known = false;
    for (size_t i = 0; i < launch->metadata->process_count; i++) {
        const Process *each = &launch->metadata->processes[i];
        if (*name == '\0' || strcmp(each->type, name) != 0) {
            continue;
        }
        known = true;
        if (eligible(launch, each)) {
            return with_arguments(launch, *each, arguments);
        }
    }
    if (known) {
        die(launch->arena, EXIT_LAUNCH, "failed to launch: determine start command: process type %s was not found",
            name);
    }
    return user_process(launch, arguments);
}
