/* bed_spool.h - spool/spool.h in memory, for the tests of the queue: what is written is there at once,
 * operations complete at the end of the turn, and fail when the test wants it.
 */
#pragma once

#include "../test.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"
#include "spool/spool.h"

#define S INT64_C(1000000)
#define M (60 * S)
#define H (60 * M)
#define D (24 * H)

/* ---- the spool ----------------------------------------------------------------------------------------- */

struct bed_note {
	struct list link;
	size_t n;
	char octets[];
};

struct bed_message {
	struct list link, notes;
	uint64_t id;
	struct spool_image *image; /* the spool's own reference */
	char *body;                /* of a large one */
	bool dropped;
};

struct spool {
	struct loop *loop;
	struct list messages;
	uint64_t next_id;
	int load_error, sync_error;
	unsigned loads, notes, drops, syncs;
	unsigned images; /* references that others hold */
	/* writing */
	unsigned writes;     /* that are open */
	unsigned again_each; /* every so many pieces of a body the disk is behind; 0: never */
	int begin_error, commit_error;
	/* messages with this many octets of body or more are large; 0: none is */
	size_t large;
};

/* An image is one block: the struct, then what its spans point to. */
struct bed_image {
	struct spool_image pub;
	struct spool *spool;
	char octets[];
};

static inline struct spool_image *bed_image_new(struct spool *s, uint64_t id, struct span meta,
						struct span head, struct span body)
{
	struct bed_image *im = mem_alloc(sizeof *im + meta.n + head.n + body.n + 1);

	char *end = im->octets;

	for (size_t i = 0; i < 3; i++) {
		const struct span part = i == 0 ? meta : i == 1 ? head : body;
		if (part.n)
			memcpy(end, part.p, part.n);
		end += part.n;
	}
	im->spool = s;
	im->pub = (struct spool_image){ .refs = 1,
					.id = id,
					.meta = span_make(im->octets, meta.n),
					.head = span_make(im->octets + meta.n, head.n),
					.body = span_make(im->octets + meta.n + head.n, body.n) };
	return &im->pub;
}

struct spool_image *spool_image_ref(struct spool_image *img)
{
	img->refs++;
	container_of(img, struct bed_image, pub)->spool->images++;
	return img;
}

void spool_image_unref(struct spool_image **img)
{
	if (!*img)
		return;
	container_of(*img, struct bed_image, pub)->spool->images--;
	if (--(*img)->refs == 0)
		free(container_of(*img, struct bed_image, pub));
	*img = NULL;
}

static inline struct bed_message *bed_find(struct spool *s, uint64_t id)
{
	/* The newest first: it is asked for most. */
	for (struct list *link = s->messages.prev; link != &s->messages; link = link->prev) {
		struct bed_message *m = list_entry(link, struct bed_message, link);
		if (m->id == id && !m->dropped)
			return m;
	}
	return NULL;
}

void spool_note(struct spool *s, uint64_t id, struct span note)
{
	struct bed_message *m = bed_find(s, id);
	struct bed_note *copy = mem_alloc(sizeof *copy + note.n);

	NEED(m != NULL);
	memcpy(copy->octets, note.p, note.n);
	copy->n = note.n;
	list_push_back(&m->notes, &copy->link);
	s->notes++;
}

void spool_drop(struct spool *s, uint64_t id)
{
	struct bed_message *m = bed_find(s, id);

	NEED(m != NULL);
	m->dropped = true;
	s->drops++;
}

static inline void bed_op_cancel(struct op *op)
{
	op_complete(op, -ERR_CANCELED);
}

int spool_sync_start(struct op *op, struct scope *scope, struct spool *s)
{
	const int ret = op_begin(op, scope, "sync", M, bed_op_cancel);

	s->syncs++;
	if (ret == 0)
		op_complete(op, s->sync_error);
	return ret;
}

int spool_load_start(struct spool_load *ld, struct scope *scope, struct spool *s, uint64_t id)
{
	const int ret = op_begin(&ld->op, scope, "load", M, bed_op_cancel);
	struct bed_message *m = bed_find(s, id);

	if (ret < 0)
		return ret;
	s->loads++;
	ld->image = NULL;
	if (s->load_error || !m)
		op_complete(&ld->op, m ? s->load_error : -ERR_NOTFOUND);
	else {
		ld->image = spool_image_ref(m->image);
		op_complete(&ld->op, 0);
	}
	return 0;
}

/* ---- writing and reading, for import and export -------------------------------------------------------- */

struct spool_write {
	struct spool *spool;
	struct buf body;
	unsigned pieces;
	void (*room)(void *arg);
	void *room_arg;
	struct task room_task;
};

static inline void bed_room(struct task *t)
{
	struct spool_write *w = container_of(t, struct spool_write, room_task);

	w->room(w->room_arg);
}

int spool_write_begin(struct spool *s, uint64_t size_hint, struct spool_write **w_r)
{
	(void)size_hint;
	if (s->begin_error)
		return s->begin_error;
	*w_r = mem_alloc(sizeof **w_r);
	(*w_r)->spool = s;
	buf_init(&(*w_r)->body, 1 << 20);
	task_init(&(*w_r)->room_task, bed_room);
	s->writes++;
	return 0;
}

int spool_write_body(struct spool_write *w, struct span piece)
{
	if (!buf_add_span(&w->body, piece))
		return -ERR_TOOBIG;
	if (w->spool->again_each == 0 || ++w->pieces % w->spool->again_each != 0)
		return 0;
	task_schedule(w->spool->loop, &w->room_task);
	return -ERR_AGAIN;
}

void spool_write_on_room(struct spool_write *w, void (*room)(void *arg), void *arg)
{
	w->room = room;
	w->room_arg = arg;
}

void spool_write_abort(struct spool_write **w)
{
	task_unschedule(&(*w)->room_task);
	(*w)->spool->writes--;
	buf_free(&(*w)->body);
	free(*w);
	*w = NULL;
}

static inline struct bed_message *bed_message_new(struct spool *s, struct span meta, struct span head,
						  struct span body)
{
	struct bed_message *m = mem_alloc(sizeof *m);

	m->id = s->next_id++;
	m->image = bed_image_new(s, m->id, meta, head, body);
	if (s->large && body.n >= s->large) {
		m->image->file_bytes = body.n;
		m->body = body.n ? mem_strndup(body.p, body.n) : NULL;
		m->image->body = (struct span){ 0 };
	}
	list_init(&m->notes);
	list_push_back(&s->messages, &m->link);
	return m;
}

int spool_commit_start(struct spool_commit *c, struct scope *scope, struct spool_write **w, struct span meta,
		       struct span head)
{
	struct spool *s = (*w)->spool;
	const int ret = op_begin(&c->op, scope, "commit", M, bed_op_cancel);

	if (ret < 0)
		return ret;
	if (!s->commit_error) {
		struct bed_message *m = bed_message_new(s, meta, head, buf_span(&(*w)->body));
		c->id = m->id;
		c->image = m->body ? NULL : spool_image_ref(m->image);
	}
	spool_write_abort(w);
	op_complete(&c->op, s->commit_error);
	return 0;
}

int spool_read_start(struct spool_read *r, struct scope *scope, struct spool *s, uint64_t id)
{
	const int ret = op_begin(&r->op, scope, "read", M, bed_op_cancel);
	struct bed_message *m = bed_find(s, id);

	if (ret < 0)
		return ret;
	if (!m || !m->body) {
		op_complete(&r->op, -ERR_NOTFOUND);
		return 0;
	}
	const struct span piece = span_first(span_skip(span_make(m->body, m->image->file_bytes), r->offset),
					     r->size < 7 ? r->size : 7);
	memcpy(r->buf, piece.p, piece.n);
	op_complete(&r->op, (int)piece.n);
	return 0;
}

static inline void bed_spool_init(struct spool *s, struct loop *loop)
{
	*s = (struct spool){ .loop = loop, .next_id = 1000 };
	list_init(&s->messages);
}

static inline void bed_spool_deinit(struct spool *s)
{
	for (struct list *link; (link = list_pop_front(&s->messages)) != NULL;) {
		struct bed_message *m = list_entry(link, struct bed_message, link);
		for (struct list *note; (note = list_pop_front(&m->notes)) != NULL;)
			free(list_entry(note, struct bed_note, link));
		CHECK_INT(1, m->image->refs); /* the queue has given all of them back */
		free(container_of(m->image, struct bed_image, pub));
		free(m->body);
		free(m);
	}
}
