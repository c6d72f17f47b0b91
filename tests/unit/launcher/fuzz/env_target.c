/* Environment files.  Input: lines, each a file name (its '/' and NUL left out) and after a '=' what it holds. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "env.h"
#include "fuzz.h"

static char directory[] = "/dev/shm/launcher-fuzz-XXXXXX";

static void empty(void) {
    DIR *stream = opendir(directory);
    struct dirent *entry;
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        char path[sizeof directory + sizeof entry->d_name];
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        unlink(path);
    }
    if (stream != NULL) {
        closedir(stream);
    }
}

static void leave(void) {
    empty();
    rmdir(directory);
}

static void write_file(const uint8_t *line, size_t length) {
    const uint8_t *equals = memchr(line, '=', length);
    size_t named = equals == NULL ? length : (size_t)(equals - line);
    char path[sizeof directory + 300];
    size_t used = (size_t)snprintf(path, sizeof path, "%s/", directory);
    for (size_t i = 0; i < named && i < 255; i++) {
        if (line[i] != '/' && line[i] != '\0') {
            path[used++] = (char)line[i];
        }
    }
    path[used] = '\0';
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file >= 0) {
        if (equals != NULL && write(file, equals + 1, length - named - 1) < 0) {
            abort();
        }
        close(file);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int made;
    if (!made && (mkdtemp(directory) == NULL || atexit(leave) != 0)) {
        abort();
    }
    made = 1;
    while (size > 0) {
        const uint8_t *newline = memchr(data, '\n', size);
        size_t length = newline == NULL ? size : (size_t)(newline - data);
        write_file(data, length);
        data += length + (newline != NULL);
        size -= length + (newline != NULL);
    }
    Arena arena = {0};
    Env env;
    char *environment[] = {"A=1", "B=", NULL};
    env_init(&env, &arena, environment);
    Entries files;
    const char *problem = env_add_files(&env, directory, &files);
    if (problem == NULL) {
        problem = env_add_layer_paths(&env, directory);
    }
    for (char **entry = env_list(&env); *entry != NULL; entry++) {
        free(strdup(*entry));
    }
    empty();
    fuzz_free();
    return 0;
}
