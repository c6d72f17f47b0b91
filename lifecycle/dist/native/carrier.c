/* Starts the Python that this file carries behind its own end: static, so that it runs in any image.
 *
 * The C library's loader, the libraries and the program are copied into files in memory and run from there.  Nothing is
 * unpacked where another user could reach it, nothing is left behind, and neither a writable nor an executable file
 * system is needed: only /proc.
 */
#define _GNU_SOURCE
#include "carried.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the reference ends with for everything that has no code of its own. */
#define FAILED 1

/* Variables of the image's loader are for buildpacks and not for ours: python_main.c gives them back. */
static void hide(char *variable) {
    if (strncmp(variable, "LD_", 3) == 0 || strncmp(variable, "GLIBC_TUNABLES=", 15) == 0) variable[0] = HIDDEN;
}

int main(int argc, char **argv) {
    int self = open("/proc/self/exe", O_RDONLY);
    if (self < 0) {
        fprintf(stderr, "ERROR: lifecycle: /proc/self/exe: %s: mount /proc, as container engines do\n", strerror(errno));
        return FAILED;
    }
    struct trailer trailer;
    struct record records[MAX_RECORDS];
    int count = read_table(self, &trailer, records);
    if (count < 0) {
        fprintf(stderr, "ERROR: lifecycle: %s is damaged or incomplete: copy it anew\n", argc > 0 ? argv[0] : "executable");
        return FAILED;
    }
    char loader[32] = "", program[32] = "", libraries[MAX_RECORDS * 32] = "", descriptors[MAX_RECORDS * 12];
    size_t used = 0;
    size_t listed = (size_t)snprintf(descriptors, sizeof descriptors, "%d", self);
    for (int i = 0; i < count; i++) {
        if (records[i].kind == KIND_FROZEN) continue;
        int fd = nameless_copy(self, records[i].name, records[i].offset, records[i].size);
        if (fd < 0) return FAILED;
        listed += (size_t)snprintf(descriptors + listed, sizeof descriptors - listed, ",%d", fd);
        if (records[i].kind == KIND_LOADER) snprintf(loader, sizeof loader, "/proc/self/fd/%d", fd);
        else if (records[i].kind == KIND_PROGRAM) snprintf(program, sizeof program, "/proc/self/fd/%d", fd);
        else used += (size_t)snprintf(libraries + used, sizeof libraries - used, "%s/proc/self/fd/%d", used ? ":" : "", fd);
    }

    size_t given = argc > 0 ? (size_t)argc : 0;
    char **command = calloc(given + 10, sizeof *command);
    if (command == NULL) {
        perror("ERROR: lifecycle");
        return FAILED;
    }
    char *front[] = {
        "ld.so", "--inhibit-cache", "--argv0", given ? argv[0] : "lifecycle", "--preload", libraries, program, descriptors,
    };
    size_t fronts = sizeof front / sizeof *front;
    memcpy(command, front, sizeof front);
    for (size_t i = 1; i < given; i++) command[fronts + i - 1] = argv[i];
    for (char **each = environ; *each != NULL; each++) hide(*each);
    execv(loader, command);
    fprintf(stderr, "ERROR: lifecycle: can't start from memory: %s: allow it, or name a directory in CNB_LIFECYCLE_TMPDIR\n",
            strerror(errno));
    return FAILED;
}
