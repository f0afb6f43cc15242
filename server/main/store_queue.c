#include "main/store_queue.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

/* A commit under way: lives from commit to its completion, since the queue wants the envelope after the disk has the message. */
struct pending {
	struct spool_commit spool;
	struct store_commit *owner;
	struct store_queue *store;
	struct buf meta;
	uint64_t size_bytes;
};

static int begin(void *impl, uint64_t size_hint, struct store_message **m_r)
{
	struct spool_write *w;
	const int err = spool_write_begin(((struct store_queue *)impl)->spool, size_hint, &w);

	if (err == 0)
		*m_r = (struct store_message *)w;
	return err;
}

static struct spool_write *write_of(const struct store_message *m)
{
	return (struct spool_write *)m;
}

static struct id id(void *impl, const struct store_message *m)
{
	(void)impl;
	return id_from_u64(spool_write_id(write_of(m)));
}

static int body(void *impl, struct store_message *m, struct span piece)
{
	(void)impl;
	return spool_write_body(write_of(m), piece);
}

static void on_room(void *impl, struct store_message *m, void (*room)(void *arg), void *arg)
{
	(void)impl;
	spool_write_on_room(write_of(m), room, arg);
}

static struct span peek(void *impl, const struct store_message *m)
{
	(void)impl;
	return spool_write_peek(write_of(m));
}

static void abort_message(void *impl, struct store_message **m)
{
	struct spool_write *w = write_of(*m);

	(void)impl;
	spool_write_abort(&w);
	*m = NULL;
}

enum { META_MEM_MAX = ENVELOPE_OCTETS_MAX };

static void enqueue(struct pending *p)
{
	struct arena *mem = arena_new(META_MEM_MAX);
	struct envelope env;

	/* What was encoded a moment ago decodes; the spool has it in any case. */
	if (verify(envelope_decode(buf_span(&p->meta), mem, &env) == 0))
		queue_add(p->store->queue, p->spool.id, &env, p->spool.image, p->size_bytes);
	arena_free(&mem);
}

static void on_commit(struct op *op)
{
	struct pending *p = container_of(op, struct pending, spool.op);
	struct store_commit *owner = p->owner;
	const int status = op->status;

	if (status >= 0 && owner) {
		enqueue(p);
	} else if (status >= 0) { /* the session has said 452: the client keeps the message */
		spool_drop(p->store->spool, p->spool.id);
		spool_image_unref(&p->spool.image);
	}
	buf_free(&p->meta);
	free(p);
	if (owner)
		op_complete(&owner->op, status);
}

static void on_cancel(struct op *op)
{
	struct store_commit *c = container_of(op, struct store_commit, op);
	struct pending *p = c->store_;

	p->owner = NULL;
	op_complete(op, -ERR_CANCELED);
}

#define COMMIT_DEADLINE_US INT64_C(120000000)

static int commit(void *impl, struct store_commit *c, struct scope *scope, struct store_message **m,
		  const struct envelope *env, struct span head)
{
	struct spool_write *w = write_of(*m);
	struct buf meta = BUF_INIT(ENVELOPE_OCTETS_MAX);

	if (!envelope_encode(env, &meta) ||
	    op_begin(&c->op, scope, "commit", COMMIT_DEADLINE_US, on_cancel) < 0) {
		buf_free(&meta);
		return -ERR_TOOBIG;
	}
	struct pending *p = mem_alloc(sizeof *p);
	*p = (struct pending){
		.owner = c, .store = impl, .meta = meta, .size_bytes = spool_write_bytes(w) + head.n
	};
	c->store_ = p;
	op_init(&p->spool.op, on_commit);
	*m = NULL;
	const int err = spool_commit_start(&p->spool, p->store->scope, &w, buf_span(&p->meta), head);
	if (err < 0) {
		if (w)
			spool_write_abort(&w);
		buf_free(&p->meta);
		free(p);
		op_complete(&c->op, err);
	}
	return 0;
}

static const struct session_store_ops ops = { .begin = begin,
					      .id = id,
					      .body = body,
					      .on_room = on_room,
					      .peek = peek,
					      .commit = commit,
					      .abort = abort_message };

struct session_store store_queue_of(struct store_queue *s)
{
	return (struct session_store){ &ops, s };
}
