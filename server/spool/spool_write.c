#include "spool/spool_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

enum { FIRST_OCTETS = 4096 };

int spool_write_begin(struct spool *s, uint64_t size_hint, struct spool_write **w_r)
{
	struct spool_log_state st;

	if (s->closing)
		return -ERR_CLOSED;
	if (size_hint > s->cfg.message_max_bytes)
		return -ERR_TOOBIG;
	spool_log_state(s->volumes[0].log, &st);
	if (st.broken)
		return st.broken;
	const int r = spool_guard_check(s, size_hint);
	if (r < 0)
		return r;
	struct spool_write *w = mem_alloc(sizeof *w);
	w->spool = s;
	w->id = spool_log_new_id(s->volumes[0].log, loop_wall_us(s->loop));
	w->reserved = size_hint;
	s->reserved += w->reserved;
	s->writes++;
	*w_r = w;
	return 0;
}

/* Room for @more octets in memory. A piece of a large message is taken even over the budget: it is on its way to the disk. */
static bool make_room(struct spool_write *w, size_t more)
{
	struct spool_memory *m = w->spool->memory;
	size_t cap = w->cap ? w->cap : w->stream ? SPOOL_STREAM_PIECE : FIRST_OCTETS;

	if (w->n + more <= w->cap)
		return true;
	if (!w->cap && w->reserved > cap && w->reserved <= w->spool->cfg.small_max_bytes)
		cap = (size_t)w->reserved; /* what SIZE= said; it may be wrong in either direction */
	while (cap < w->n + more)
		cap *= 2;
	if (!w->stream && !spool_memory_fits(m, cap - w->cap))
		return false;
	w->p = mem_realloc(w->p, cap);
	m->used += cap - w->cap;
	w->cap = cap;
	return true;
}

int spool_write_body(struct spool_write *w, struct span piece)
{
	struct spool *s = w->spool;

	if (w->error)
		return w->error;
	if (piece.n > s->cfg.message_max_bytes - w->octets)
		return -ERR_TOOBIG;
	if (!piece.n)
		return 0;
	if (!w->stream && (w->octets + piece.n > s->cfg.small_max_bytes || !make_room(w, piece.n)))
		spool_stream_begin(w);
	make_room(w, piece.n);
	memcpy(w->p + w->n, piece.p, piece.n);
	w->n += piece.n;
	w->octets += piece.n;
	if (w->octets > w->reserved) {
		s->reserved += w->octets - w->reserved;
		w->reserved = w->octets;
	}
	return w->stream ? spool_stream_more(w) : 0;
}

void spool_write_on_room(struct spool_write *w, void (*room)(void *arg), void *arg)
{
	w->room = room;
	w->room_arg = arg;
}

uint64_t spool_write_id(const struct spool_write *w)
{
	return w->id;
}

uint64_t spool_write_bytes(const struct spool_write *w)
{
	return w->octets;
}

struct span spool_write_peek(const struct spool_write *w)
{
	return w->stream ? span_make(NULL, 0) : span_make(w->p, w->n);
}

void spool_write_forget(struct spool_write *w)
{
	struct spool *s = w->spool;

	s->memory->used -= w->cap;
	s->reserved -= w->reserved;
	s->writes--;
	free(w->p);
	free(w);
	spool_kick(s); /* closing may wait for it */
}

void spool_write_abort(struct spool_write **w_p)
{
	struct spool_write *w = *w_p;

	if (!w)
		return;
	*w_p = NULL;
	if (w->stream)
		spool_stream_give_up(w);
	spool_write_forget(w);
}
