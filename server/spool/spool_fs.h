/* spool/spool_fs.h - the few file operations that the spool is built on, as a table, so that a simulated disk can stand in.
 *
 * What the spool relies on, and nothing more:
 *   - sync() that returned 0 has made all writes to that file, and its size, durable; one that failed has made nothing durable
 *     that was not before, and later ones say nothing about the writes before it
 *   - create, rename and unlink are durable when sync_dir() of their directory has returned 0; until then a crash may undo
 *     any of them
 *   - a write that was not synced may be on the disk in part, in any order with others
 *
 * Results are >= 0, or -errno as the system has it (spool_fs_err() makes it an error of base/err.h).
 * Threads: any; one file is written by one thread at a time.
 * Tests: tests/unit/spool/test_fs.c; tests/sim/fs_model.h is the simulated one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"

enum spool_fs_mode {
	SPOOL_FS_READ,
	SPOOL_FS_WRITE,  /* to write and read what is there */
	SPOOL_FS_CREATE, /* as WRITE, of a new file: -EEXIST if there is one */
};

struct spool_fs {
	void *arg;
	int (*open)(void *arg, const char *path, enum spool_fs_mode mode); /* a descriptor */
	int (*close)(void *arg, int fd);
	int64_t (*size)(void *arg, int fd);
	int64_t (*read)(void *arg, int fd, void *p, size_t n,
			uint64_t at); /* octets; fewer than n only at the end */
	int (*write)(void *arg, int fd, const struct iovec *v, size_t n, uint64_t at); /* 0: all of it */
	int (*sync)(void *arg, int fd);
	/* Takes the disk space of @octets from the start, so that writes there do not fail for want of it. */
	int (*allocate)(void *arg, int fd, uint64_t octets);
	int (*rename)(void *arg, const char *from, const char *to);
	int (*unlink)(void *arg, const char *path);
	int (*mkdir)(void *arg, const char *path); /* 0 also when it is there */
	int (*sync_dir)(void *arg, const char *path);
	/* Calls @each with every name but "." and ".."; stops when it returns < 0 and returns that. */
	int (*list)(void *arg, const char *path, int (*each)(void *each_arg, const char *name),
		    void *each_arg);
	int (*free_octets)(void *arg, const char *path, uint64_t *octets_r);
};

/* The system's own. */
const struct spool_fs *spool_fs_posix(void);

/* -ERR_NOSPACE, -ERR_NOTFOUND, ... for a result < 0. */
int spool_fs_err(int result);
/* "<what> <path>: No space left on device"; returns spool_fs_err(result). @e may be NULL. */
int spool_fs_error(struct errtext *e, int result, const char *what, const char *path);
