#define _DEFAULT_SOURCE /* syscall, DT_DIR */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

char *path_join(Arena *arena, const char *directory, const char *name) {
    size_t length = strlen(directory);
    const char *slash = length > 0 && directory[length - 1] == '/' ? "" : "/";
    return arena_join(arena, directory, slash, name);
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

/* What getdents64 gives.  Source: getdents64(2). */
typedef struct {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
} DirectoryEntry;

/* Say whether an entry is a directory itself; -1 with errno when that can't be found out. */
static int is_directory_entry(int directory, const DirectoryEntry *entry) {
    if (entry->type != DT_UNKNOWN) {
        return entry->type == DT_DIR;
    }
    struct stat status;
    return fstatat(directory, entry->name, &status, AT_SYMLINK_NOFOLLOW) != 0 ? -1 : S_ISDIR(status.st_mode);
}

static void add_entry(Arena *arena, Entries *entries, size_t *room, char *path) {
    if (entries->count == *room) {
        *room = *room * 2 + 8;
        char **larger = arena_alloc(arena, *room, sizeof *larger);
        if (entries->count > 0) {
            memcpy(larger, entries->paths, entries->count * sizeof *larger);
        }
        entries->paths = larger;
    }
    entries->paths[entries->count++] = path;
}

/* Read the directory; returns 0 or an errno. */
static int read_entries(Arena *arena, int descriptor, const char *directory, EntryKind kind, Entries *entries) {
    static alignas(DirectoryEntry) char buffer[4096]; /* on the stack, each page of it would be cleared each time */
    size_t room = 0;
    for (;;) {
        long got = syscall(SYS_getdents64, descriptor, buffer, sizeof buffer);
        if (got <= 0) {
            return got == 0 ? 0 : errno;
        }
        const DirectoryEntry *entry;
        for (long at = 0; at < got; at += entry->length) {
            entry = (const DirectoryEntry *)(const void *)(buffer + at);
            if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0) {
                continue;
            }
            int is_directory = is_directory_entry(descriptor, entry);
            if (is_directory < 0) {
                return errno;
            }
            entries->leads_on = entries->leads_on || entry->type != DT_REG;
            if (is_directory == (kind == ENTRY_DIRECTORIES)) {
                add_entry(arena, entries, &room, path_join(arena, directory, entry->name));
            }
        }
    }
}

bool list_entries(Arena *arena, const char *directory, EntryKind kind, Entries *entries) {
    *entries = (Entries){0};
    int descriptor = openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
        return errno == ENOENT;
    }
    int error = read_entries(arena, descriptor, directory, kind, entries);
    close(descriptor);
    if (entries->count > 1) {
        qsort(entries->paths, entries->count, sizeof *entries->paths, by_bytes);
    }
    errno = error;
    return error == 0;
}

bool entries_hold(const Entries *entries, const char *path) {
    return entries->count > 0 &&
           bsearch(&path, entries->paths, entries->count, sizeof *entries->paths, by_bytes) != NULL;
}

PathKind path_kind(const char *path) {
    struct stat status;
    if (stat(path, &status) == 0) {
        return S_ISDIR(status.st_mode) ? PATH_DIRECTORY : PATH_FILE;
    }
    return errno == ENOENT || errno == ENOTDIR ? PATH_MISSING : PATH_UNKNOWN;
}

static char *read_descriptor(Arena *arena, int descriptor, size_t limit, size_t *length) {
    struct stat status;
    if (fstat(descriptor, &status) != 0) {
        return NULL;
    }
    /* One byte for the end of the text, and one so that the end of the file is seen without growing. */
    bool known = S_ISREG(status.st_mode) && status.st_size > 0 && (uintmax_t)status.st_size <= limit;
    size_t expected = known ? (size_t)status.st_size : 0;
    size_t room = (known ? (size_t)status.st_size : 4096) + 2;
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
        *length += (size_t)got;
        if (got == 0 || (known && *length == expected)) {
            return text;
        }
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
    int descriptor = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return NULL;
    }
    char *text = read_descriptor(arena, descriptor, limit, length);
    int error = errno;
    close(descriptor);
    errno = error;
    return text;
}
