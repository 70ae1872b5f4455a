/* Makes the n-th call fail that opens for writing, writes, renames or syncs below a folder: LD_PRELOAD, for tests/faults.rs.
 *
 *   FAIL_BELOW   the folder
 *   FAIL_AT      which call, from 1 on; 0 never
 *   FAIL_WITH    the error number
 *   FAIL_ON      1: all later ones of its kind fail, too, as on a full disk
 *   FAIL_COUNT   a file for the number of calls, at the end
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;
static atomic_int failed_kind = -1;
enum kind { OPEN, WRITE, RENAME, SYNC };

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

static int below(const char *path) {
    const char *folder = getenv("FAIL_BELOW");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

static int file_below(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return below(path);
}

/* Whether this call is to fail; errno is set then. */
static int fails(enum kind kind) {
    long at = number("FAIL_AT");
    long n = atomic_fetch_add(&calls, 1) + 1;
    if (at == 0 || n < at) return 0;
    if (n == at) atomic_store(&failed_kind, kind);
    else if (!number("FAIL_ON") || atomic_load(&failed_kind) != (int)kind) return 0;
    errno = (int)number("FAIL_WITH");
    return 1;
}

__attribute__((destructor)) static void report(void) {
    const char *name = getenv("FAIL_COUNT");
    if (!name) return;
    FILE *file = fopen(name, "w");
    if (!file) return;
    fprintf(file, "%ld\n", atomic_load(&calls));
    fclose(file);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FOR_WRITING(flags) ((flags) & (O_CREAT | O_WRONLY | O_RDWR))

#define OPENER(name)                                                                       \
    int name(const char *path, int flags, ...) {                                           \
        va_list rest;                                                                      \
        va_start(rest, flags);                                                             \
        mode_t mode = va_arg(rest, mode_t);                                                \
        va_end(rest);                                                                      \
        if (FOR_WRITING(flags) && below(path) && fails(OPEN)) return -1;                   \
        return REAL(name)(path, flags, mode);                                              \
    }
OPENER(open)
OPENER(open64)

#define OPENER_AT(name)                                                                    \
    int name(int folder, const char *path, int flags, ...) {                               \
        va_list rest;                                                                      \
        va_start(rest, flags);                                                             \
        mode_t mode = va_arg(rest, mode_t);                                                \
        va_end(rest);                                                                      \
        if (FOR_WRITING(flags) && below(path) && fails(OPEN)) return -1;                   \
        return REAL(name)(folder, path, flags, mode);                                      \
    }
OPENER_AT(openat)
OPENER_AT(openat64)

int mkdir(const char *path, mode_t mode) {
    if (below(path) && fails(OPEN)) return -1;
    return REAL(mkdir)(path, mode);
}

int symlink(const char *to, const char *path) {
    if (below(path) && fails(OPEN)) return -1;
    return REAL(symlink)(to, path);
}

int link(const char *from, const char *to) {
    if (below(to) && fails(RENAME)) return -1;
    return REAL(link)(from, to);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    if (file_below(fd) && fails(WRITE)) return -1;
    return REAL(write)(fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (file_below(fd) && fails(WRITE)) return -1;
    return REAL(writev)(fd, parts, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    if (file_below(fd) && fails(WRITE)) return -1;
    return REAL(pwrite64)(fd, bytes, count, at);
}

int rename(const char *from, const char *to) {
    if (below(to) && fails(RENAME)) return -1;
    return REAL(rename)(from, to);
}

int fsync(int fd) {
    if (file_below(fd) && fails(SYNC)) return -1;
    return REAL(fsync)(fd);
}

int fdatasync(int fd) {
    if (file_below(fd) && fails(SYNC)) return -1;
    return REAL(fdatasync)(fd);
}
