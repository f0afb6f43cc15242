/* fs_locked.h - the file system of fs_model.h for several threads: one operation at a time. */
#pragma once

#include <pthread.h>

#include "fs_model.h"

struct locked_disk {
	struct spool_fs fs;
	struct model model;
	pthread_mutex_t lock;
};

#define LOCKED(type, call)                                                                                   \
	do {                                                                                                 \
		struct locked_disk *d = arg;                                                                 \
		pthread_mutex_lock(&d->lock);                                                                \
		const type r = d->model.fs.call;                                                             \
		pthread_mutex_unlock(&d->lock);                                                              \
		return r;                                                                                    \
	} while (0)

static inline int locked_open(void *arg, const char *path, enum spool_fs_mode mode)
{
	LOCKED(int, open(&d->model, path, mode));
}

static inline int locked_close(void *arg, int fd)
{
	LOCKED(int, close(&d->model, fd));
}

static inline int64_t locked_size(void *arg, int fd)
{
	LOCKED(int64_t, size(&d->model, fd));
}

static inline int64_t locked_read(void *arg, int fd, void *p, size_t n, uint64_t at)
{
	LOCKED(int64_t, read(&d->model, fd, p, n, at));
}

static inline int locked_write(void *arg, int fd, const struct iovec *v, size_t n, uint64_t at)
{
	LOCKED(int, write(&d->model, fd, v, n, at));
}

static inline int locked_sync(void *arg, int fd)
{
	LOCKED(int, sync(&d->model, fd));
}

static inline int locked_allocate(void *arg, int fd, uint64_t octets)
{
	LOCKED(int, allocate(&d->model, fd, octets));
}

static inline int locked_rename(void *arg, const char *from, const char *to)
{
	LOCKED(int, rename(&d->model, from, to));
}

static inline int locked_unlink(void *arg, const char *path)
{
	LOCKED(int, unlink(&d->model, path));
}

static inline int locked_mkdir(void *arg, const char *path)
{
	LOCKED(int, mkdir(&d->model, path));
}

static inline int locked_sync_dir(void *arg, const char *path)
{
	LOCKED(int, sync_dir(&d->model, path));
}

static inline int locked_list(void *arg, const char *path, int (*each)(void *each_arg, const char *name),
			      void *each_arg)
{
	LOCKED(int, list(&d->model, path, each, each_arg));
}

static inline int locked_free_octets(void *arg, const char *path, uint64_t *octets_r)
{
	LOCKED(int, free_octets(&d->model, path, octets_r));
}

static inline void locked_disk_init(struct locked_disk *d, uint64_t seed)
{
	model_init(&d->model, seed);
	pthread_mutex_init(&d->lock, NULL);
	d->fs = (struct spool_fs){
		.arg = d,
		.open = locked_open,
		.close = locked_close,
		.size = locked_size,
		.read = locked_read,
		.write = locked_write,
		.sync = locked_sync,
		.allocate = locked_allocate,
		.rename = locked_rename,
		.unlink = locked_unlink,
		.mkdir = locked_mkdir,
		.sync_dir = locked_sync_dir,
		.list = locked_list,
		.free_octets = locked_free_octets,
	};
}

/* Nothing has an effect from here on, until model_crash(). */
static inline void locked_disk_stop(struct locked_disk *d)
{
	pthread_mutex_lock(&d->lock);
	d->model.crashed = true;
	pthread_mutex_unlock(&d->lock);
}

/* All that changes something fails from now on; MODEL_FAULT_NONE: it works again. */
static inline void locked_disk_fail(struct locked_disk *d, enum model_fault fault)
{
	pthread_mutex_lock(&d->lock);
	d->model.fault = fault;
	d->model.fail_at = 0;
	d->model.fail_until = UINT64_MAX;
	pthread_mutex_unlock(&d->lock);
}
