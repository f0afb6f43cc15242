/* spool_fixture.h - a spool in a directory of its own, its loop, and an owner that remembers what it was told. */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"
#include "spool/spool.h"
#include "spool/spool_log.h"
#include "test.h"

enum { OWNED_MAX = 4096, OWNED_TEXT = 200 };

struct owned {
	uint64_t id;
	char meta[OWNED_TEXT], notes[OWNED_TEXT];
	uint64_t head_bytes, body_bytes;
};

struct fixture {
	char dir[64];
	struct loop *loop;
	struct work_pool *pool;
	struct logger log;
	struct buf lines;
	struct metric_shard *metrics;
	struct spool_config cfg;
	struct spool_found found;
	struct errtext e;
	struct spool *spool;
	struct scope scope;
	bool closed;
	struct owned owned[OWNED_MAX];
	unsigned nowned;
};

static struct owned *owned_find(struct fixture *f, uint64_t id)
{
	for (unsigned i = 0; i < f->nowned; i++)
		if (f->owned[i].id == id)
			return &f->owned[i];
	return NULL;
}

static int owner_message(void *arg, uint64_t id, struct span meta, uint64_t head_bytes, uint64_t body_bytes)
{
	struct fixture *f = arg;

	if (span_eq(meta, SPAN("unreadable")))
		return -ERR_CORRUPT;
	NEED(f->nowned < OWNED_MAX && meta.n < OWNED_TEXT && !owned_find(f, id));
	struct owned *o = &f->owned[f->nowned++];
	*o = (struct owned){ .id = id, .head_bytes = head_bytes, .body_bytes = body_bytes };
	if (meta.n)
		memcpy(o->meta, meta.p, meta.n);
	return 0;
}

static void owner_note(void *arg, uint64_t id, struct span note)
{
	struct owned *o = owned_find(arg, id);

	NEED(o != NULL);
	const size_t n = strlen(o->notes);
	NEED(n + note.n < OWNED_TEXT);
	memcpy(o->notes + n, note.p, note.n);
	o->notes[n + note.n] = 0;
}

static void owner_dropped(void *arg, uint64_t id)
{
	struct fixture *f = arg;
	struct owned *o = owned_find(f, id);

	NEED(o != NULL);
	*o = f->owned[--f->nowned];
}

static void owner_snapshot(void *arg, uint64_t id, struct buf *note_r)
{
	(void)arg;
	(void)id;
	buf_add_str(note_r, "S");
}

static void remember_line(void *arg, struct span lines)
{
	buf_add_span(arg, lines);
}

static inline struct spool_recovery fixture_owner(struct fixture *f)
{
	return (struct spool_recovery){ f, owner_message, owner_note, owner_dropped, owner_snapshot };
}

static inline int fixture_open(struct fixture *f, const struct spool_fs *fs)
{
	const struct spool_recovery owner = fixture_owner(f);

	f->nowned = 0;
	f->closed = false;
	return spool_open(&f->spool, &f->cfg, fs, f->loop, f->pool, &f->log, f->metrics, &owner, &f->found,
			  &f->e);
}

static inline struct fixture *fixture_new(void)
{
	struct fixture *f = mem_alloc(sizeof *f);

	snprintf(f->dir, sizeof f->dir, "/tmp/postern-spool-XXXXXX");
	NEED(mkdtemp(f->dir) != NULL);
	f->loop = loop_new();
	f->pool = work_pool_new("disk", 2, 64);
	f->lines = BUF_INIT(1024 * 1024);
	logger_init(&f->log, (struct log_sink){ remember_line, &f->lines });
	f->metrics = mem_alloc(sizeof *f->metrics);
	metric_shard_init(f->metrics);
	scope_init(&f->scope, f->loop, NULL);
	f->cfg = (struct spool_config){
		.dir = f->dir,
		.workers = 1,
		.segment_bytes = 1024 * 1024,
		.small_max_bytes = 64 * 1024,
		.memory_budget_bytes = 8 * 1024 * 1024,
		.message_max_bytes = 16 * 1024 * 1024,
		.lazy_commit_us = 2000,
		.segments_spare_max = 2,
	};
	return f;
}

static void fixture_on_closed(void *arg)
{
	struct fixture *f = arg;

	f->closed = true;
}

/* Runs the loop until *@until is true; gives up after some seconds. */
static inline bool fixture_run_until(struct fixture *f, const bool *until)
{
	for (unsigned i = 0; !*until && i < 100000; i++)
		loop_run_once(f->loop, true);
	return *until;
}

static inline void fixture_close(struct fixture *f)
{
	spool_close(f->spool, fixture_on_closed, f);
	NEED(fixture_run_until(f, &f->closed));
	spool_free(&f->spool);
}

static inline void fixture_remove_dir(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;

	if (!d)
		return;
	while ((entry = readdir(d))) {
		char path[1024];
		const int n = snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
		if (n > 0 && (size_t)n < sizeof path && entry->d_name[0] != '.' && unlink(path) < 0 &&
		    (errno == EISDIR || errno == EPERM))
			fixture_remove_dir(path);
	}
	closedir(d);
	rmdir(dir);
}

static inline void fixture_free(struct fixture *f)
{
	if (f->spool)
		fixture_close(f);
	work_pool_free(&f->pool);
	loop_free(&f->loop);
	logger_deinit(&f->log);
	buf_free(&f->lines);
	metric_shard_deinit(f->metrics);
	free(f->metrics);
	fixture_remove_dir(f->dir);
	free(f);
}

/* ---- operations, one at a time ---- */

struct waiting {
	bool done;
	int status;
};

struct committing {
	struct spool_commit commit;
	struct waiting w;
};

static void on_commit_done(struct op *op)
{
	struct committing *c = container_of(op, struct committing, commit.op);

	c->w = (struct waiting){ true, op->status };
}

static void on_room(void *arg)
{
	*(bool *)arg = true;
}

/* Writes a body of @n octets that depend on their place. */
static inline int fixture_write(struct fixture *f, struct spool_write *w, size_t n)
{
	char piece[10000];
	size_t at = 0;

	while (at < n) {
		const size_t some = n - at < sizeof piece ? n - at : sizeof piece;
		bool room = false;
		for (size_t i = 0; i < some; i++)
			piece[i] = (char)((at + i) * 31 / 7);
		spool_write_on_room(w, on_room, &room);
		const int r = spool_write_body(w, span_make(piece, some));
		if (r == -ERR_AGAIN)
			NEED(fixture_run_until(f, &room));
		else if (r < 0)
			return r;
		at += some;
	}
	return 0;
}

static inline bool fixture_body_ok(struct span body, size_t at)
{
	for (size_t i = 0; i < body.n; i++)
		if (body.p[i] != (char)((at + i) * 31 / 7))
			return false;
	return true;
}

/* Commits a message; returns the op's status. *id_r and *image_r as of the commit. */
static inline int fixture_commit(struct fixture *f, const char *meta, const char *head, size_t body,
				 uint64_t *id_r, struct spool_image **image_r)
{
	struct spool_write *w;
	struct committing c = { .w.done = false };

	int r = spool_write_begin(f->spool, 0, &w);
	if (r < 0)
		return r;
	r = fixture_write(f, w, body);
	if (r < 0) {
		spool_write_abort(&w);
		return r;
	}
	op_init(&c.commit.op, on_commit_done);
	NEED(spool_commit_start(&c.commit, &f->scope, &w, span_of(meta), span_of(head)) == 0);
	NEED(fixture_run_until(f, &c.w.done));
	if (id_r)
		*id_r = c.commit.id;
	if (image_r)
		*image_r = c.commit.image;
	else
		spool_image_unref(&c.commit.image);
	return c.w.status;
}

struct loading {
	struct spool_load load;
	struct waiting w;
};

static void on_load_done(struct op *op)
{
	struct loading *l = container_of(op, struct loading, load.op);

	l->w = (struct waiting){ true, op->status };
}

static inline int fixture_load(struct fixture *f, uint64_t id, struct spool_image **image_r)
{
	struct loading l = { .w.done = false };

	op_init(&l.load.op, on_load_done);
	NEED(spool_load_start(&l.load, &f->scope, f->spool, id) == 0);
	NEED(fixture_run_until(f, &l.w.done));
	*image_r = l.load.image;
	return l.w.status;
}

struct reading {
	struct spool_read read;
	struct waiting w;
};

static void on_read_done(struct op *op)
{
	struct reading *r = container_of(op, struct reading, read.op);

	r->w = (struct waiting){ true, op->status };
}

static inline int fixture_read(struct fixture *f, uint64_t id, char *p, uint32_t n, uint64_t at)
{
	struct reading r = { .read = { .buf = p, .size = n, .offset = at } };
	struct spool_image *img;

	const int loaded = fixture_load(f, id, &img);
	if (loaded < 0)
		return loaded;
	r.read.body_octets = img->file_bytes;
	spool_image_unref(&img);
	op_init(&r.read.op, on_read_done);
	NEED(spool_read_start(&r.read, &f->scope, f->spool, id) == 0);
	NEED(fixture_run_until(f, &r.w.done));
	return r.w.status;
}

struct syncing {
	struct op op;
	struct waiting w;
};

static void on_sync_done(struct op *op)
{
	struct syncing *s = container_of(op, struct syncing, op);

	s->w = (struct waiting){ true, op->status };
}

static inline int fixture_sync(struct fixture *f)
{
	struct syncing s = { .w.done = false };

	op_init(&s.op, on_sync_done);
	NEED(spool_sync_start(&s.op, &f->scope, f->spool) == 0);
	NEED(fixture_run_until(f, &s.w.done));
	return s.w.status;
}
