#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *path_join(Arena *arena, const char *directory, const char *name) {
    size_t length = strlen(directory);
    const char *slash = length > 0 && directory[length - 1] == '/' ? "" : "/";
    return arena_format(arena, "%s%s%s", directory, slash, name);
}

char *path_absolute(Arena *arena, const char *path) {
    const char *full = path;
    if (path[0] != '/') {
        char cwd[PATH_MAX];
        if (getcwd(cwd, sizeof cwd) == NULL) {
            return NULL;
        }
        full = path_join(arena, cwd, path);
    }
    char *out = arena_alloc(arena, strlen(full) + 2, 1);
    size_t used = 0;
    while (*full != '\0') {
        size_t length = strcspn(full, "/");
        if (length == 2 && memcmp(full, "..", 2) == 0) {
            while (used > 0 && out[--used] != '/') {
            }
        } else if (length > 0 && !(length == 1 && *full == '.')) {
            out[used++] = '/';
            memcpy(out + used, full, length);
            used += length;
        }
        full += length + (full[length] == '/');
    }
    if (used == 0) {
        out[used++] = '/';
    }
    out[used] = '\0';
    return out;
}

static int by_bytes(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

bool list_entries(Arena *arena, const char *directory, EntryKind kind, Entries *entries) {
    *entries = (Entries){0};
    DIR *stream = opendir(directory);
    if (stream == NULL) {
        return errno == ENOENT;
    }
    size_t room = 0;
    for (struct dirent *entry; errno = 0, (entry = readdir(stream)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        struct stat status;
        if (fstatat(dirfd(stream), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
            break;
        }
        if (S_ISDIR(status.st_mode) != (kind == ENTRY_DIRECTORIES)) {
            continue;
        }
        if (entries->count == room) {
            room = room * 2 + 8;
            char **larger = arena_alloc(arena, room, sizeof *larger);
            if (entries->count > 0) {
                memcpy(larger, entries->paths, entries->count * sizeof *larger);
            }
            entries->paths = larger;
        }
        entries->paths[entries->count++] = path_join(arena, directory, entry->d_name);
    }
    int error = errno;
    closedir(stream);
    if (entries->count > 0) {
        qsort(entries->paths, entries->count, sizeof *entries->paths, by_bytes);
    }
    errno = error;
    return error == 0;
}

PathKind path_kind(const char *path) {
    struct stat status;
    if (stat(path, &status) == 0) {
        return S_ISDIR(status.st_mode) ? PATH_DIRECTORY : PATH_FILE;
    }
    return errno == ENOENT || errno == ENOTDIR ? PATH_MISSING : PATH_UNKNOWN;
}

char *read_descriptor(Arena *arena, int descriptor, size_t limit, size_t *length) {
    size_t room = 4096;
    char *text = arena_alloc(arena, room, 1);
    *length = 0;
    for (;;) {
        ssize_t got = read(descriptor, text + *length, room - *length - 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return NULL;
        }
        if (got == 0) {
            return text;
        }
        *length += (size_t)got;
        if (*length > limit) {
            errno = EFBIG;
            return NULL;
        }
        if (room - *length == 1) {
            char *larger = arena_alloc(arena, room, 2);
            memcpy(larger, text, *length);
            text = larger;
            room *= 2;
        }
    }
}

char *read_path(Arena *arena, const char *path, size_t limit, size_t *length) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return NULL;
    }
    char *text = read_descriptor(arena, descriptor, limit, length);
    int error = errno;
    close(descriptor);
    errno = error;
    return text;
}
