#include "queue/queue_note.h"

#include "base/check.h"

/* ---- numbers: seven bits an octet, the low ones first -------------------------------------------------- */

static void add_number(struct buf *b, uint64_t v)
{
	while (v >= 0x80) {
		buf_add_char(b, (char)(v | 0x80));
		v >>= 7;
	}
	buf_add_char(b, (char)v);
}

static void add_text(struct buf *b, struct span s, size_t text_max)
{
	s = span_first(s, text_max);
	add_number(b, s.n);
	buf_add_span(b, s);
}

static bool get_number(struct span *in, uint64_t max, uint64_t *v_r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 63 && in->n; shift += 7) {
		const uint64_t octet = (uint8_t)in->p[0];

		*in = span_skip(*in, 1);
		v |= (octet & 0x7f) << shift;
		if (!(octet & 0x80)) {
			*v_r = v;
			return v <= max;
		}
	}
	return false;
}

static bool get_text(struct span *in, size_t text_max, struct span *s_r)
{
	uint64_t n;

	if (!get_number(in, text_max, &n) || n > in->n)
		return false;
	*s_r = span_first(*in, n);
	*in = span_skip(*in, n);
	return true;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

enum { TOLD = 1 };

static bool has_state(enum queue_note_tag tag)
{
	return tag >= QUEUE_NOTE_READY;
}

static bool has_reason(enum queue_note_tag tag)
{
	return tag >= QUEUE_NOTE_WAITING;
}

void queue_note_begin(struct queue_note_writer *w, struct buf *out)
{
	*w = (struct queue_note_writer){ .out = out };
	buf_init(&w->body, QUEUE_NOTE_MAX);
	buf_init(&w->rcpts, QUEUE_NOTE_MAX);
	buf_add_char(out, QUEUE_NOTE_VERSION);
}

void queue_note_group_begin(struct queue_note_writer *w, const struct queue_note_group *g)
{
	struct buf *b = &w->body;

	buf_reset(b);
	buf_reset(&w->rcpts);
	w->last = w->n = 0;
	buf_add_char(b, (char)g->tag);
	if (has_state(g->tag)) {
		add_number(b, g->attempts);
		add_number(b, g->notices);
	}
	if (g->tag == QUEUE_NOTE_WAITING)
		add_number(b, g->next_at_s > 0 ? (uint64_t)g->next_at_s : 0);
	if (g->tag == QUEUE_NOTE_ENDING) {
		add_number(b, (uint64_t)g->kind);
		add_number(b, (uint64_t)g->cause);
		add_number(b, g->told ? TOLD : 0);
	}
	if (has_reason(g->tag)) {
		add_number(b, (uint64_t)(g->reason.code > 0 ? g->reason.code : 0));
		add_text(b, g->reason.enhanced, QUEUE_TEXT_KEPT_MAX);
		add_text(b, g->reason.text,
			 g->tag == QUEUE_NOTE_ENDING ? QUEUE_TEXT_MAX : QUEUE_TEXT_KEPT_MAX);
		add_text(b, g->reason.remote, QUEUE_REMOTE_MAX);
	}
}

void queue_note_rcpt(struct queue_note_writer *w, uint32_t index)
{
	require(w->n == 0 || index > w->last);
	add_number(&w->rcpts, w->n ? index - w->last - 1 : index);
	w->last = index;
	w->n++;
}

void queue_note_group_end(struct queue_note_writer *w)
{
	struct buf *b = &w->body;

	add_number(b, w->n);
	buf_add_span(b, buf_span(&w->rcpts));
	if (b->overflow || w->rcpts.overflow) {
		w->out->overflow = true;
		return;
	}
	add_number(w->out, b->n);
	buf_add_span(w->out, buf_span(b));
}

bool queue_note_end(struct queue_note_writer *w)
{
	buf_free(&w->body);
	buf_free(&w->rcpts);
	return !w->out->overflow;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

int queue_note_open(struct queue_note_reader *r, struct span note)
{
	if (note.n == 0)
		return -ERR_CORRUPT;
	if (note.p[0] != QUEUE_NOTE_VERSION)
		return -ERR_UNSUPPORTED;
	*r = (struct queue_note_reader){ .left = span_skip(note, 1) };
	return 0;
}

static bool get_reason(struct span *in, struct queue_outcome *o)
{
	uint64_t code;

	if (!get_number(in, 999, &code))
		return false;
	o->code = (int)code;
	return get_text(in, QUEUE_TEXT_KEPT_MAX, &o->enhanced) && get_text(in, QUEUE_TEXT_MAX, &o->text) &&
	       get_text(in, QUEUE_REMOTE_MAX, &o->remote);
}

static bool get_ending(struct span *in, struct queue_note_group *g)
{
	uint64_t kind, cause, flags;

	if (!get_number(in, QUEUE_NOTICE_RELAYED, &kind) || !get_number(in, QUEUE_CAUSE_OPERATOR, &cause) ||
	    !get_number(in, UINT32_MAX, &flags) || kind == QUEUE_NOTICE_DELAYED)
		return false;
	g->kind = (enum queue_notice_kind)kind;
	g->cause = (enum queue_cause)cause;
	g->told = flags & TOLD;
	return true;
}

static bool get_group(struct span *in, struct queue_note_group *g)
{
	uint64_t attempts = 0, notices = 0, next = 0;

	if (has_state(g->tag) &&
	    (!get_number(in, UINT16_MAX, &attempts) || !get_number(in, UINT8_MAX, &notices)))
		return false;
	if (g->tag == QUEUE_NOTE_WAITING && !get_number(in, UINT32_MAX, &next))
		return false;
	if (g->tag == QUEUE_NOTE_ENDING && !get_ending(in, g))
		return false;
	if (has_reason(g->tag) && !get_reason(in, &g->reason))
		return false;
	g->attempts = (unsigned)attempts;
	g->notices = (unsigned)notices;
	g->next_at_s = (int64_t)next;
	return true;
}

int queue_note_next(struct queue_note_reader *r, struct queue_note_group *g_r)
{
	while (r->left.n) {
		struct queue_note_group g = { 0 };
		struct span in;
		uint64_t tag, n;

		if (!get_text(&r->left, SIZE_MAX, &in) || !get_number(&in, UINT8_MAX, &tag) || tag == 0)
			return -ERR_CORRUPT;
		if (tag > QUEUE_NOTE_ENDING)
			continue; /* of a later version */
		g.tag = (enum queue_note_tag)tag;
		if (!get_group(&in, &g) || !get_number(&in, ENVELOPE_RCPT_MAX, &n))
			return -ERR_CORRUPT;
		r->rcpts = in;
		r->n = (uint32_t)n;
		r->first = true;
		*g_r = g;
		return 1;
	}
	return 0;
}

int queue_note_next_rcpt(struct queue_note_reader *r, uint32_t *index_r)
{
	uint64_t v;

	if (r->n == 0)
		return 0;
	if (!get_number(&r->rcpts, ENVELOPE_RCPT_MAX, &v))
		return -ERR_CORRUPT;
	if (!r->first)
		v += (uint64_t)r->last + 1;
	if (v >= ENVELOPE_RCPT_MAX)
		return -ERR_CORRUPT;
	r->first = false;
	r->last = (uint32_t)v;
	r->n--;
	*index_r = r->last;
	return 1;
}
