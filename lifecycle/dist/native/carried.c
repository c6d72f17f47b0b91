#define _GNU_SOURCE
#include "carried.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

static int read_all(int fd, void *into, size_t size, uint64_t offset) {
    char *at = into;
    while (size > 0) {
        ssize_t got = pread(fd, at, size, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return -1;
        at += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return 0;
}

int read_table(int fd, struct trailer *trailer, struct record records[MAX_RECORDS]) {
    struct stat status;
    if (fstat(fd, &status) != 0 || status.st_size < (off_t)sizeof *trailer) return -1;
    uint64_t end = (uint64_t)status.st_size - sizeof *trailer;
    if (read_all(fd, trailer, sizeof *trailer, end) != 0) return -1;
    if (memcmp(trailer->magic, CARRIED_MAGIC, sizeof trailer->magic) != 0) return -1;
    if (trailer->table_count > MAX_RECORDS) return -1;
    size_t count = (size_t)trailer->table_count;
    if (read_all(fd, records, count * sizeof *records, trailer->table_offset) != 0) return -1;
    for (size_t i = 0; i < count; i++) {
        records[i].name[sizeof records[i].name - 1] = '\0';
        if (records[i].offset > end || records[i].size > end - records[i].offset) return -1;
    }
    return (int)count;
}

static int copy(int to, int from, uint64_t offset, uint64_t size) {
    off_t at = (off_t)offset;
    while (size > 0) {
        ssize_t sent = sendfile(to, from, &at, (size_t)size);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return -1;
        if (sent == 0) {
            errno = EIO;
            return -1;
        }
        size -= (uint64_t)sent;
    }
    return 0;
}

/* A mount with noexec refuses such a mapping, as does a kernel that forbids programs in memory. */
static int may_run(int fd) {
    void *page = mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    if (page == MAP_FAILED) return -1;
    munmap(page, 1);
    return 0;
}

static int in_memory(int from, const char *name, uint64_t offset, uint64_t size) {
    int fd = memfd_create(name, MFD_EXEC);
    if (fd < 0 && errno == EINVAL) fd = memfd_create(name, 0);
    if (fd < 0) return -1;
    if (copy(fd, from, offset, size) == 0 && may_run(fd) == 0) return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

/* O_TMPFILE gives a file without a name, which no other process can replace or open; the mode lets this one open it again
   after it has become another user.  The kernel runs only what no one writes. */
static int in_directory(const char *directory, int from, uint64_t offset, uint64_t size) {
    int writable = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0755);
    if (writable < 0) return -1;
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", writable);
    int fd = -1;
    if (copy(writable, from, offset, size) == 0) fd = open(path, O_RDONLY);
    int reason = errno;
    close(writable);
    if (fd >= 0 && may_run(fd) != 0) {
        reason = errno;
        close(fd);
        fd = -1;
    }
    errno = reason;
    return fd;
}

int nameless_copy(int from, const char *name, uint64_t offset, uint64_t size) {
    const char *chosen = getenv("CNB_LIFECYCLE_TMPDIR");
    const char *directories[] = {chosen, "/dev/shm", "/tmp", "/var/tmp"};
    int fd = chosen != NULL && *chosen != '\0' ? -1 : in_memory(from, name, offset, size);
    if (fd >= 0) return fd;
    int in_memory_reason = errno;
    int reasons[4] = {0};
    for (size_t i = 0; i < 4; i++) {
        if (directories[i] == NULL || *directories[i] == '\0') continue;
        fd = in_directory(directories[i], from, offset, size);
        if (fd >= 0) return fd;
        reasons[i] = errno;
    }
    fprintf(stderr, "ERROR: lifecycle: no place to run %s from:", name);
    if (chosen == NULL || *chosen == '\0') fprintf(stderr, " memory (%s)", strerror(in_memory_reason));
    for (size_t i = 0; i < 4; i++)
        if (reasons[i] != 0) fprintf(stderr, " %s (%s)", directories[i], strerror(reasons[i]));
    fprintf(stderr, ": mount a directory without noexec and with 32 MB and name it in CNB_LIFECYCLE_TMPDIR\n");
    return -1;
}
