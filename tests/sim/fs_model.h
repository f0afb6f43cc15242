/* fs_model.h - a file system in memory that may lose at a crash all that spool/spool_fs.h does not promise to keep.
 *
 * Each file has what a reader sees (`now`), what the disk has (`disk`), and the writes between the two. A sync brings them to the
 * disk. A crash applies each of them whole, not at all, or in pieces, in any combination; and of the names that were made,
 * changed or removed since the last sync of the directory the first few, or any.
 *
 * A failed sync leaves it to chance what reached the disk, and forgets the rest: a later one does not bring it there.
 *
 * Faults are set before: the n-th operation that changes something crashes (nothing has an effect after it), or fails.
 * Everything random comes from the model's own generator, so that a run can be repeated.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "spool/spool_fs.h"

enum { MODEL_PATH = 80, MODEL_SECTOR = 512, MODEL_FD_BASE = 1000 };

struct model_rng {
	uint64_t state;
};

static inline uint64_t model_random(struct model_rng *r)
{
	uint64_t x = r->state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static inline uint64_t model_below(struct model_rng *r, uint64_t bound)
{
	return model_random(r) % bound;
}

static inline bool model_chance(struct model_rng *r, unsigned percent)
{
	return model_below(r, 100) < percent;
}

struct model_write {
	uint64_t at;
	size_t n; /* 0: the file becomes at least `at` octets long */
	char *p;
};

struct model_content {
	char *p;
	size_t n, cap;
};

struct model_file {
	struct model_content now, disk;
	struct model_write *writes;
	size_t nwrites, writes_cap;
	bool used;
};

struct model_name {
	char path[MODEL_PATH];
	int file;
};

enum model_change_kind { MODEL_LINK, MODEL_RENAME, MODEL_UNLINK };

struct model_change {
	enum model_change_kind kind;
	char from[MODEL_PATH], to[MODEL_PATH];
	int file;
};

struct model_names {
	struct model_name *v;
	size_t n, cap;
};

enum model_fault { MODEL_FAULT_NONE, MODEL_FAULT_EIO, MODEL_FAULT_ENOSPC };

struct model {
	struct spool_fs fs;
	struct model_rng rng;
	struct model_file *files;
	size_t nfiles;
	struct model_names now, disk;
	struct model_change *changes;
	size_t nchanges, changes_cap;
	int *fds; /* file of each descriptor; -1: closed */
	size_t nfds;

	uint64_t ops;      /* operations that change something */
	uint64_t crash_at; /* the one that crashes; 0: none */
	bool crashed;
	uint64_t fail_at, fail_until; /* those that fail: from the one to before the other */
	enum model_fault fault;
	uint64_t reads, read_fail_at, read_fail_until; /* the reads that fail, likewise */
	uint64_t capacity;                             /* octets of all files; 0: no limit */
	bool torn_bytes; /* a write may be torn anywhere, not only between sectors */
};

/* ---- contents ---- */

static inline void model_content_grow(struct model_content *c, size_t n)
{
	if (n <= c->n)
		return;
	if (n > c->cap) {
		c->cap = n > 2 * c->cap ? n : 2 * c->cap;
		c->p = mem_realloc(c->p, c->cap);
	}
	memset(c->p + c->n, 0, n - c->n);
	c->n = n;
}

static inline void model_content_put(struct model_content *c, uint64_t at, const char *p, size_t n)
{
	if (!n)
		return;
	model_content_grow(c, (size_t)at + n);
	memcpy(c->p + at, p, n);
}

static inline void model_content_copy(struct model_content *to, const struct model_content *from)
{
	to->n = 0;
	model_content_grow(to, from->n);
	if (from->n)
		memcpy(to->p, from->p, from->n);
}

static inline void model_forget_writes(struct model_file *f)
{
	for (size_t i = 0; i < f->nwrites; i++)
		free(f->writes[i].p);
	f->nwrites = 0;
}

static inline void model_apply(struct model_file *f, const struct model_write *w)
{
	if (w->n)
		model_content_put(&f->disk, w->at, w->p, w->n);
	else
		model_content_grow(&f->disk, (size_t)w->at);
}

/* By sectors of the file, each of which may or may not have got there; perhaps one is torn. */
static inline void model_apply_partly(struct model *m, struct model_file *f, const struct model_write *w)
{
	const unsigned percent = (unsigned)model_below(&m->rng, 101);

	for (size_t i = 0; i < w->n;) {
		size_t some = MODEL_SECTOR - (size_t)((w->at + i) % MODEL_SECTOR);
		if (some > w->n - i)
			some = w->n - i;
		if (model_chance(&m->rng, percent)) {
			const size_t part = m->torn_bytes && model_chance(&m->rng, 10)
						    ? (size_t)model_below(&m->rng, some + 1)
						    : some;
			model_content_put(&f->disk, w->at + i, w->p + i, part);
		}
		i += some;
	}
}

static inline void model_write_remember(struct model_file *f, uint64_t at, const char *p, size_t n)
{
	if (f->nwrites == f->writes_cap) {
		f->writes_cap = f->writes_cap ? 2 * f->writes_cap : 8;
		f->writes = mem_realloc(f->writes, f->writes_cap * sizeof *f->writes);
	}
	struct model_write *w = &f->writes[f->nwrites++];
	*w = (struct model_write){ .at = at, .n = n };
	if (n) {
		w->p = mem_alloc_raw(n);
		memcpy(w->p, p, n);
		model_content_put(&f->now, at, p, n);
	} else {
		model_content_grow(&f->now, (size_t)at);
	}
}

/* ---- names ---- */

static inline struct model_name *model_name_find(const struct model_names *names, const char *path)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->v[i].path, path) == 0)
			return &names->v[i];
	return NULL;
}

static inline void model_name_remove(struct model_names *names, const char *path)
{
	struct model_name *name = model_name_find(names, path);

	if (name)
		*name = names->v[--names->n];
}

static inline void model_name_add(struct model_names *names, const char *path, int file)
{
	model_name_remove(names, path);
	if (names->n == names->cap) {
		names->cap = names->cap ? 2 * names->cap : 16;
		names->v = mem_realloc(names->v, names->cap * sizeof *names->v);
	}
	struct model_name *name = &names->v[names->n++];
	snprintf(name->path, sizeof name->path, "%s", path);
	name->file = file;
}

static inline void model_change_apply(struct model_names *names, const struct model_change *c)
{
	const struct model_name *from = model_name_find(names, c->from);
	int file;

	switch (c->kind) {
	case MODEL_LINK:
		model_name_add(names, c->from, c->file);
		break;
	case MODEL_RENAME:
		if (!from)
			break; /* how it got its name is lost */
		file = from->file;
		model_name_remove(names, c->from);
		model_name_add(names, c->to, file);
		break;
	case MODEL_UNLINK:
		model_name_remove(names, c->from);
		break;
	}
}

static inline void model_change(struct model *m, enum model_change_kind kind, const char *from,
				const char *to, int file)
{
	if (m->nchanges == m->changes_cap) {
		m->changes_cap = m->changes_cap ? 2 * m->changes_cap : 8;
		m->changes = mem_realloc(m->changes, m->changes_cap * sizeof *m->changes);
	}
	struct model_change *c = &m->changes[m->nchanges++];
	c->kind = kind;
	c->file = file;
	snprintf(c->from, sizeof c->from, "%s", from);
	snprintf(c->to, sizeof c->to, "%s", to);
	model_change_apply(&m->now, c);
}

/* ---- operations ---- */

/* Counts an operation that changes something: 0, or why it fails. *last_r: it is the one in which the machine stops. */
static inline int model_step(struct model *m, bool *last_r)
{
	*last_r = false;
	if (m->crashed)
		return -EIO;
	m->ops++;
	if (m->ops == m->crash_at)
		m->crashed = *last_r = true;
	if (m->fault && m->ops >= m->fail_at && m->ops < m->fail_until)
		return m->fault == MODEL_FAULT_EIO ? -EIO : -ENOSPC;
	return 0;
}

static inline struct model_file *model_file(struct model *m, int fd)
{
	const size_t i = (size_t)(fd - MODEL_FD_BASE);

	if (fd < MODEL_FD_BASE || i >= m->nfds || m->fds[i] < 0)
		abort(); /* a descriptor that is not open */
	return &m->files[m->fds[i]];
}

static inline int model_fd(struct model *m, int file)
{
	size_t i = 0;

	while (i < m->nfds && m->fds[i] >= 0)
		i++;
	if (i == m->nfds) {
		m->nfds = 2 * m->nfds + 8;
		m->fds = mem_realloc(m->fds, m->nfds * sizeof *m->fds);
		for (size_t k = i; k < m->nfds; k++)
			m->fds[k] = -1;
	}
	m->fds[i] = file;
	return MODEL_FD_BASE + (int)i;
}

static inline int model_file_new(struct model *m)
{
	size_t i = 0;

	while (i < m->nfiles && m->files[i].used)
		i++;
	if (i == m->nfiles) {
		m->nfiles = 2 * m->nfiles + 8;
		m->files = mem_realloc(m->files, m->nfiles * sizeof *m->files);
		memset(m->files + i, 0, (m->nfiles - i) * sizeof *m->files);
	}
	m->files[i].used = true;
	return (int)i;
}

static inline int model_open(void *arg, const char *path, enum spool_fs_mode mode)
{
	struct model *m = arg;
	const struct model_name *name = model_name_find(&m->now, path);
	bool last;

	if (mode != SPOOL_FS_CREATE)
		return m->crashed ? -EIO : name ? model_fd(m, name->file) : -ENOENT;
	const int r = model_step(m, &last);
	if (r < 0)
		return r;
	if (name)
		return -EEXIST;
	const int file = model_file_new(m);
	model_change(m, MODEL_LINK, path, "", file);
	return last ? -EIO : model_fd(m, file);
}

static inline int model_close(void *arg, int fd)
{
	struct model *m = arg;

	model_file(m, fd);
	m->fds[fd - MODEL_FD_BASE] = -1;
	return 0;
}

static inline int64_t model_size(void *arg, int fd)
{
	return (int64_t)model_file(arg, fd)->now.n;
}

static inline int64_t model_read(void *arg, int fd, void *p, size_t n, uint64_t at)
{
	struct model *m = arg;
	const struct model_content *c = &model_file(m, fd)->now;

	m->reads++;
	if (m->crashed || (m->reads >= m->read_fail_at && m->reads < m->read_fail_until))
		return -EIO;
	if (at >= c->n)
		return 0;
	n = n < c->n - at ? n : c->n - (size_t)at;
	if (n)
		memcpy(p, c->p + at, n);
	return (int64_t)n;
}

static inline uint64_t model_used(const struct model *m)
{
	uint64_t n = 0;

	for (size_t i = 0; i < m->nfiles; i++)
		n += m->files[i].used ? m->files[i].now.n : 0;
	return n;
}

static inline int model_room(struct model *m, const struct model_file *f, uint64_t size)
{
	return m->capacity && size > f->now.n && model_used(m) + (size - f->now.n) > m->capacity ? -ENOSPC
												 : 0;
}

static inline int model_pwritev(void *arg, int fd, const struct iovec *v, size_t n, uint64_t at)
{
	struct model *m = arg;
	struct model_file *f = model_file(m, fd);
	bool last;
	int r = model_step(m, &last);
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += v[i].iov_len;
	if (m->crashed && !last)
		return -EIO;
	if (r == 0)
		r = model_room(m, f, at + total);
	if (r == -ENOSPC)
		return r;
	/* What fails in the middle has written some of it. */
	size_t left = r < 0 ? (size_t)model_below(&m->rng, total + 1) : total;
	for (size_t i = 0; i < n && left; i++) {
		const size_t some = v[i].iov_len < left ? v[i].iov_len : left;
		model_write_remember(f, at, v[i].iov_base, some);
		at += some;
		left -= some;
	}
	return r < 0 || last ? -EIO : 0;
}

static inline int model_sync(void *arg, int fd)
{
	struct model *m = arg;
	struct model_file *f = model_file(m, fd);
	bool last;
	const int r = model_step(m, &last);

	if (m->crashed)
		return -EIO; /* what was written stays between */
	for (size_t i = 0; i < f->nwrites; i++) {
		if (r == 0 || model_chance(&m->rng, 40))
			model_apply(f, &f->writes[i]);
		else if (model_chance(&m->rng, 50))
			model_apply_partly(m, f, &f->writes[i]);
	}
	model_forget_writes(f);
	return r;
}

static inline int model_allocate(void *arg, int fd, uint64_t octets)
{
	struct model *m = arg;
	struct model_file *f = model_file(m, fd);
	bool last;
	int r = model_step(m, &last);

	if (r == 0)
		r = model_room(m, f, octets);
	if (r < 0)
		return r;
	model_write_remember(f, octets, NULL, 0);
	return last ? -EIO : 0;
}

static inline int model_rename(void *arg, const char *from, const char *to)
{
	struct model *m = arg;
	bool last;
	const int r = model_step(m, &last);

	if (r < 0)
		return r;
	if (!model_name_find(&m->now, from))
		return -ENOENT;
	model_change(m, MODEL_RENAME, from, to, -1);
	return last ? -EIO : 0;
}

static inline int model_unlink(void *arg, const char *path)
{
	struct model *m = arg;
	bool last;
	const int r = model_step(m, &last);

	if (r < 0)
		return r;
	if (!model_name_find(&m->now, path))
		return -ENOENT;
	model_change(m, MODEL_UNLINK, path, "", -1);
	return last ? -EIO : 0;
}

static inline int model_mkdir(void *arg, const char *path)
{
	(void)arg;
	(void)path;
	return 0; /* names are whole paths */
}

static inline void model_collect(struct model *m);

static inline int model_sync_dir(void *arg, const char *path)
{
	struct model *m = arg;
	bool last;
	const int r = model_step(m, &last);

	(void)path;
	if (m->crashed || r < 0)
		return r < 0 ? r : -EIO;
	for (size_t i = 0; i < m->nchanges; i++)
		model_change_apply(&m->disk, &m->changes[i]);
	m->nchanges = 0;
	model_collect(m);
	return 0;
}

static inline int model_list(void *arg, const char *path, int (*each)(void *each_arg, const char *name),
			     void *each_arg)
{
	struct model *m = arg;
	const size_t n = strlen(path);

	if (m->crashed)
		return -EIO;
	for (size_t i = 0; i < m->now.n; i++) {
		const char *name = m->now.v[i].path;
		if (strncmp(name, path, n) != 0 || name[n] != '/' || strchr(name + n + 1, '/'))
			continue;
		const int r = each(each_arg, name + n + 1);
		if (r < 0)
			return r;
	}
	return 0;
}

static inline int model_free_octets(void *arg, const char *path, uint64_t *octets_r)
{
	struct model *m = arg;
	const uint64_t used = model_used(m);

	(void)path;
	*octets_r = !m->capacity ? UINT64_C(1) << 40 : used < m->capacity ? m->capacity - used : 0;
	return 0;
}

/* ---- the machine ---- */

static inline void model_init(struct model *m, uint64_t seed)
{
	*m = (struct model){
		.fs = { .arg = m,
			.open = model_open,
			.close = model_close,
			.size = model_size,
			.read = model_read,
			.write = model_pwritev,
			.sync = model_sync,
			.allocate = model_allocate,
			.rename = model_rename,
			.unlink = model_unlink,
			.mkdir = model_mkdir,
			.sync_dir = model_sync_dir,
			.list = model_list,
			.free_octets = model_free_octets },
		.rng = { seed },
	};
}

static inline void model_file_free(struct model_file *f)
{
	model_forget_writes(f);
	free(f->writes);
	free(f->now.p);
	free(f->disk.p);
	*f = (struct model_file){ .used = false };
}

static inline void model_deinit(struct model *m)
{
	for (size_t i = 0; i < m->nfiles; i++)
		model_file_free(&m->files[i]);
	free(m->files);
	free(m->now.v);
	free(m->disk.v);
	free(m->changes);
	free(m->fds);
}

/* Files that nothing leads to any more. */
static inline void model_collect(struct model *m)
{
	for (size_t i = 0; i < m->nfiles; i++) {
		bool used = !m->files[i].used;
		for (size_t k = 0; !used && k < m->now.n; k++)
			used = m->now.v[k].file == (int)i;
		for (size_t k = 0; !used && k < m->disk.n; k++)
			used = m->disk.v[k].file == (int)i;
		for (size_t k = 0; !used && k < m->nchanges; k++)
			used = m->changes[k].file == (int)i;
		for (size_t k = 0; !used && k < m->nfds; k++)
			used = m->fds[k] == (int)i;
		if (!used)
			model_file_free(&m->files[i]);
	}
}

/* How many descriptors are open: none may be when a log was freed. */
static inline unsigned model_open_fds(const struct model *m)
{
	unsigned n = 0;

	for (size_t i = 0; i < m->nfds; i++)
		n += m->fds[i] >= 0;
	return n;
}

/* The power goes and comes back. */
static inline void model_crash(struct model *m)
{
	const bool in_order = model_chance(&m->rng, 50);
	const size_t first = (size_t)model_below(&m->rng, m->nchanges + 1);

	for (size_t i = 0; i < m->nchanges; i++)
		if (in_order ? i < first : model_chance(&m->rng, 50))
			model_change_apply(&m->disk, &m->changes[i]);
	m->nchanges = 0;
	m->now.n = 0;
	for (size_t i = 0; i < m->disk.n; i++)
		model_name_add(&m->now, m->disk.v[i].path, m->disk.v[i].file);
	for (size_t i = 0; i < m->nfds; i++)
		m->fds[i] = -1;
	for (size_t i = 0; i < m->nfiles; i++) {
		struct model_file *f = &m->files[i];
		for (size_t k = 0; k < f->nwrites; k++) {
			const unsigned what = (unsigned)model_below(&m->rng, 3);
			if (what == 0)
				model_apply(f, &f->writes[k]);
			else if (what == 1)
				model_apply_partly(m, f, &f->writes[k]);
		}
		model_forget_writes(f);
		model_content_copy(&f->now, &f->disk);
	}
	model_collect(m);
	m->crashed = false;
	m->crash_at = 0;
	m->fault = MODEL_FAULT_NONE;
	m->read_fail_until = 0;
}
