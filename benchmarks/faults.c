/* Calls that change files, counted and made to fail: loaded before libc with LD_PRELOAD (benchmarks/faults.py).

   Only files below one folder count. The calls are intercepted in C because Arrow, safetensors and OpenVINO write
   without Python. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { COUNT_ONLY, IO_ERROR, DISK_FULL, KILLED };

static atomic_long calls;
static long fault_at;
static enum kind fault;
static int report = -1;
static char folder[PATH_MAX];
static __thread int first; /* whether the call that fails here is number `fault_at`, not a later one */

/* Count from now on, and let call number `at` fail: an I/O error fails once, a full disk stays full. The call that
   fails is reported in a line, or every call if none is to fail. */
void faults_arm(long at, int kind, const char *below, int report_to) {
    atomic_store(&calls, 0);
    fault_at = at;
    fault = kind;
    report = report_to;
    snprintf(folder, sizeof folder, "%s", below);
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static int counts(const char *path) {
    size_t length = strlen(folder);
    return length && !strncmp(path, folder, length) && path[length] == '/';
}

static void path_of(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
}

static void resolve(int at, const char *name, char *path) {
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
        return;
    }
    if (at == AT_FDCWD) {
        if (!getcwd(path, PATH_MAX)) path[0] = 0;
    } else {
        path_of(at, path);
    }
    size_t length = strlen(path);
    snprintf(path + length, PATH_MAX - length, "/%s", name);
}

static void say(const char *call, const char *path) {
    REAL(ssize_t, "write", int, const void *, size_t);
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%s %s\n", call, path + strlen(folder) + 1);
    real(report, line, length);
}

/* Whether a call must fail now, and with which errno; a killed process does not come back. `grows` says that the call
   needs room on the disk. */
static int fails(const char *call, const char *path, int grows) {
    if (!counts(path)) return 0;
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (fault == COUNT_ONLY) say(call, path);
    if (fault == COUNT_ONLY || number < fault_at) return 0;
    first = number == fault_at;
    if (first) say(call, path);
    if (fault == DISK_FULL) return grows ? ENOSPC : 0;
    if (number > fault_at) return 0;
    if (fault == KILLED) return -1;
    return EIO;
}

static void die(void) {
    raise(SIGKILL);
    for (;;) pause();
}

#define REFUSE(call, path, grows) \
    do { \
        int reason = fails(call, path, grows); \
        if (reason < 0) die(); \
        if (reason) { errno = reason; return -1; } \
    } while (0)

static int changes(int flags) { return flags & (O_CREAT | O_WRONLY | O_RDWR | O_TRUNC); }

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = va_arg(rest, int); \
        va_end(rest); \
        REAL(int, #name, const char *, int, ...); \
        char whole[PATH_MAX]; \
        resolve(AT_FDCWD, path, whole); \
        if (changes(flags)) REFUSE("open", whole, (flags & O_CREAT) && access(whole, F_OK)); \
        return real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int at, const char *path, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = va_arg(rest, int); \
        va_end(rest); \
        REAL(int, #name, int, const char *, int, ...); \
        char whole[PATH_MAX]; \
        resolve(at, path, whole); \
        if (changes(flags)) REFUSE("open", whole, (flags & O_CREAT) && access(whole, F_OK)); \
        return real(at, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

/* Python and C++ streams open files for writing with fopen too. */
#define FOPEN(name) \
    FILE *name(const char *path, const char *mode) { \
        REAL(FILE *, #name, const char *, const char *); \
        char whole[PATH_MAX]; \
        resolve(AT_FDCWD, path, whole); \
        if (strpbrk(mode, "wa+")) { \
            int reason = fails("open", whole, access(whole, F_OK)); \
            if (reason < 0) die(); \
            if (reason) { errno = reason; return NULL; } \
        } \
        return real(path, mode); \
    }
FOPEN(fopen)
FOPEN(fopen64)

/* Half of the bytes reach the disk before a kill, or before the disk is full; with an I/O error none do. */
#define CUT_WRITE(call, whole_call, half_call, size) \
    char path[PATH_MAX]; \
    path_of(descriptor, path); \
    int reason = fails(call, path, 1); \
    if (!reason) return whole_call; \
    ssize_t written = reason != EIO && first && (size) > 1 ? half_call : 0; \
    if (reason < 0) die(); \
    if (written > 0) return written; \
    errno = reason; \
    return -1

ssize_t write(int descriptor, const void *bytes, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    CUT_WRITE("write", real(descriptor, bytes, size), real(descriptor, bytes, size / 2), size);
}

#define PWRITE(name, offset_type) \
    ssize_t name(int descriptor, const void *bytes, size_t size, offset_type place) { \
        REAL(ssize_t, #name, int, const void *, size_t, offset_type); \
        CUT_WRITE("write", real(descriptor, bytes, size, place), real(descriptor, bytes, size / 2, place), size); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int descriptor, const struct iovec *pieces, int number) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    CUT_WRITE("write", real(descriptor, pieces, number), real(descriptor, pieces, number / 2), number);
}

#define BY_DESCRIPTOR(name, call, grows) \
    int name(int descriptor) { \
        REAL(int, #name, int); \
        char path[PATH_MAX]; \
        path_of(descriptor, path); \
        REFUSE(call, path, grows); \
        return real(descriptor); \
    }
BY_DESCRIPTOR(fsync, "sync", 1)
BY_DESCRIPTOR(fdatasync, "sync", 1)

#define TRUNCATE(name, type) \
    int name(int descriptor, type size) { \
        REAL(int, #name, int, type); \
        char path[PATH_MAX]; \
        path_of(descriptor, path); \
        REFUSE("truncate", path, 0); \
        return real(descriptor, size); \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define TWO_PATHS(name, call, grows) \
    int name(const char *from, const char *to) { \
        REAL(int, #name, const char *, const char *); \
        char whole[PATH_MAX]; \
        resolve(AT_FDCWD, to, whole); \
        REFUSE(call, whole, grows); \
        return real(from, to); \
    }
TWO_PATHS(rename, "rename", 0)
TWO_PATHS(link, "link", 1)

int renameat(int from_at, const char *from, int to_at, const char *to) {
    REAL(int, "renameat", int, const char *, int, const char *);
    char whole[PATH_MAX];
    resolve(to_at, to, whole);
    REFUSE("rename", whole, 0);
    return real(from_at, from, to_at, to);
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    REAL(int, "linkat", int, const char *, int, const char *, int);
    char whole[PATH_MAX];
    resolve(to_at, to, whole);
    REFUSE("link", whole, 1);
    return real(from_at, from, to_at, to, flags);
}

int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    char whole[PATH_MAX];
    resolve(AT_FDCWD, path, whole);
    if (access(whole, F_OK)) REFUSE("mkdir", whole, 1); /* of a folder that is there, it fails by itself */
    return real(path, mode);
}

int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    char whole[PATH_MAX];
    resolve(AT_FDCWD, path, whole);
    if (!access(whole, F_OK)) REFUSE("delete", whole, 0);
    return real(path);
}

int rmdir(const char *path) {
    REAL(int, "rmdir", const char *);
    char whole[PATH_MAX];
    resolve(AT_FDCWD, path, whole);
    REFUSE("delete", whole, 0);
    return real(path);
}

int unlinkat(int at, const char *path, int flags) {
    REAL(int, "unlinkat", int, const char *, int);
    char whole[PATH_MAX];
    resolve(at, path, whole);
    REFUSE("delete", whole, 0);
    return real(at, path, flags);
}
