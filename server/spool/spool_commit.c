/* A commit, the happy path:
 *
 *   1. a small message becomes an image and a record that points into it; the record joins the batch that gathers
 *   2. the batch is durable: the image goes to the receiver, the op completes
 *
 * A large one first waits for its file (spool_stream.c); its record has meta and head alone.
 *
 * Cancelled or late: the op completes at once and nobody waits for the message any more; when its batch is durable all the same,
 * it is dropped again.
 */
#include "spool/spool_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "spool/spool_record.h"

struct message {
	struct spool_rec rec;
	struct spool *spool;
	struct spool_commit *commit; /* NULL: nobody waits any more */
	struct spool_image_own *image;
	struct spool_write *write;         /* of a large one, until its file is durable */
	uint64_t body_octets, file_octets; /* of a large one; else 0 */
	int64_t started_us;
};

static void tell(struct message *m, int status)
{
	struct spool_commit *c = m->commit;

	if (!c)
		return;
	c->internal_ = NULL;
	c->image = NULL;
	/* Messages that wait may have half of the memory: the other half is for those that come, which would need files. */
	if (status == 0 && !m->body_octets && m->spool->memory->used <= m->spool->memory->max / 2)
		c->image = spool_image_ref(&m->image->image);
	op_complete(&c->op, status);
}

static void message_free(struct message *m)
{
	struct spool_image *img = &m->image->image;

	spool_image_unref(&img);
	free(m);
}

static void cancel_commit(struct op *op)
{
	struct spool_commit *c = container_of(op, struct spool_commit, op);
	struct message *m = c->internal_;

	op_complete(op, -ERR_CANCELED);
	if (!m)
		return; /* it had failed at once */
	c->internal_ = NULL;
	m->commit = NULL;
	if (!m->write)
		return;
	spool_write_abort(&m->write); /* its file is not complete yet: nothing is on its way */
	message_free(m);
}

/* A record that a failed write may have left on the disk can be found after a crash; so its body stays until the next start, which
 * removes it or delivers it. Without space nothing was written. */
static void record_failed(struct message *m, int status)
{
	if (m->body_octets && status == -ERR_NOSPACE)
		spool_log_body_remove(m->spool->volumes[0].log, m->rec.id);
	tell(m, status);
	message_free(m);
}

static void record_ended(struct spool_rec *r, int status)
{
	struct message *m = container_of(r, struct message, rec);
	struct spool *s = m->spool;
	struct spool_log *log = s->volumes[0].log;

	if (status < 0) {
		record_failed(m, status);
		return;
	}
	metric_observe(s->metrics, METRIC_COMMIT_SECONDS, loop_now_us(s->loop) - m->started_us);
	metric_add(s->metrics, METRIC_SPOOL_COMMITS_TOTAL, 1);
	if (m->body_octets)
		spool_log_body_added(log, m->file_octets);
	if (!m->commit)
		spool_log_drop(log, r->id);
	tell(m, 0);
	message_free(m);
}

static void add_record(struct message *m)
{
	const int r = spool_log_add(m->spool->volumes[0].log, &m->rec);

	if (r < 0)
		record_failed(m, r == -ERR_TOOBIG && m->body_octets ? -ERR_NOSPACE : r);
	else
		spool_kick(m->spool);
}

static void file_finished(void *arg, int status)
{
	struct message *m = arg;
	struct spool_write *w = m->write;

	m->write = NULL;
	if (status < 0) {
		spool_write_abort(&w);
		tell(m, status);
		message_free(m);
		return;
	}
	m->file_octets = spool_body_writer_file_octets(&w->stream->writer);
	spool_stream_end(w);
	spool_write_forget(w);
	add_record(m);
}

/* Lengths, meta and head in one block; the body of a small message stays where it was gathered. */
static void make_record(struct message *m, struct spool_write *w, struct span meta, struct span head)
{
	const size_t n = SPOOL_MESSAGE_PREFIX + meta.n + head.n;
	const bool large = w->stream != NULL;
	char *block = mem_alloc_raw(n);
	char *body = NULL;
	uint64_t counted = n;

	spool_message_prefix((uint32_t)meta.n, (uint32_t)head.n, w->octets, block);
	if (meta.n)
		memcpy(block + SPOOL_MESSAGE_PREFIX, meta.p, meta.n);
	if (head.n)
		memcpy(block + SPOOL_MESSAGE_PREFIX + meta.n, head.p, head.n);
	if (!large && w->n) {
		const bool shrinks = w->cap - w->n > w->n / 4;
		body = shrinks ? mem_realloc(w->p, w->n) : w->p;
		counted += shrinks ? w->n : w->cap;
		m->spool->memory->used -= w->cap;
		w->p = NULL;
		w->cap = 0;
	}
	m->spool->memory->used += counted;
	m->image = spool_image_new(m->spool->memory, w->id, block, body, counted);
	m->image->image.meta = span_make(block + SPOOL_MESSAGE_PREFIX, meta.n);
	m->image->image.head = span_make(block + SPOOL_MESSAGE_PREFIX + meta.n, head.n);
	m->image->image.body = span_make(body, large ? 0 : w->n);
	m->body_octets = large ? w->octets : 0;
	m->rec = (struct spool_rec){
		.type = SPOOL_RECORD_MESSAGE,
		.flags = large ? SPOOL_FLAG_LARGE : 0,
		.id = w->id,
		.payload = { span_make(block, n), m->image->image.body },
		.done = record_ended,
	};
}

int spool_commit_start(struct spool_commit *c, struct scope *scope, struct spool_write **w_p,
		       struct span meta, struct span head)
{
	struct spool_write *w = *w_p;
	struct spool *s = w->spool;

	const int r = op_begin(&c->op, scope, "spool commit", SPOOL_COMMIT_US, cancel_commit);
	if (r < 0)
		return r;
	*w_p = NULL;
	c->id = w->id;
	c->image = NULL;
	if (w->error || meta.n > SPOOL_RECORD_MAX || head.n > SPOOL_RECORD_MAX) {
		op_complete(&c->op, w->error ? w->error : -ERR_TOOBIG);
		spool_write_abort(&w);
		return 0;
	}
	struct message *m = mem_alloc(sizeof *m);
	m->spool = s;
	m->commit = c;
	m->started_us = loop_now_us(s->loop);
	c->internal_ = m;
	make_record(m, w, meta, head);
	if (w->stream) {
		m->write = w;
		spool_stream_finish(w, file_finished, m);
	} else {
		spool_write_forget(w);
		add_record(m);
	}
	return 0;
}
