#include "queue/queue_reason.h"

#include <stdlib.h>

#include "base/mem.h"

enum { HEAD = 6, ENHANCED_MAX = 16, KEY_MAX = HEAD + ENHANCED_MAX + QUEUE_TEXT_MAX + QUEUE_REMOTE_MAX };

void queue_reasons_init(struct queue_reasons *t, uint64_t budget_bytes)
{
	*t = (struct queue_reasons){ .budget_bytes = budget_bytes };
	map_init(&t->map);
}

void queue_reasons_deinit(struct queue_reasons *t)
{
	require(t->map.n == 0);
	map_deinit(&t->map);
}

static size_t append(char *key, size_t at, struct span s)
{
	if (s.n)
		memcpy(key + at, s.p, s.n);
	return at + s.n;
}

/* What makes two reasons the same. */
static size_t key_make(char key[KEY_MAX], const struct queue_outcome *o)
{
	const unsigned code = (unsigned)o->code;

	key[0] = (char)(code & 0xff);
	key[1] = (char)(code >> 8 & 0xff);
	key[2] = (char)o->enhanced.n;
	key[3] = (char)o->remote.n;
	key[4] = (char)(o->text.n & 0xff);
	key[5] = (char)(o->text.n >> 8);
	return append(key, append(key, append(key, HEAD, o->enhanced), o->text), o->remote);
}

static struct queue_reason *find(struct queue_reasons *t, struct span key)
{
	struct map_node *node = map_get(&t->map, key);

	return node ? queue_reason_ref(map_entry(node, struct queue_reason, node)) : NULL;
}

struct queue_reason *queue_reason_get(struct queue_reasons *t, const struct queue_outcome *said,
				      size_t text_max)
{
	struct queue_outcome o = *said;
	char octets[KEY_MAX];

	o.code = o.code >= 0 && o.code <= 999 ? o.code : 0;
	o.enhanced = span_first(o.enhanced, ENHANCED_MAX);
	o.text = span_first(o.text, text_max < QUEUE_TEXT_MAX ? text_max : QUEUE_TEXT_MAX);
	o.remote = span_first(o.remote, QUEUE_REMOTE_MAX);
	if (o.code == 0 && o.enhanced.n == 0 && o.text.n == 0 && o.remote.n == 0)
		return NULL;
	struct span key = span_make(octets, key_make(octets, &o));
	struct queue_reason *r = find(t, key);
	if (r)
		return r;
	if (t->bytes + sizeof *r + key.n > t->budget_bytes) {
		o.text = o.remote = (struct span){ 0 };
		key.n = key_make(octets, &o);
		r = find(t, key); /* codes are few: these are kept whatever the budget says */
		if (r)
			return r;
	}
	r = mem_alloc(sizeof *r + key.n);
	memcpy(r->octets, key.p, key.n);
	r->refs = 1;
	r->code = (uint16_t)o.code;
	r->enhanced_n = (uint8_t)o.enhanced.n;
	r->text_n = (uint16_t)o.text.n;
	r->remote_n = (uint8_t)o.remote.n;
	map_put(&t->map, &r->node, span_make(r->octets, key.n));
	t->bytes += sizeof *r + key.n;
	return r;
}

struct queue_reason *queue_reason_ref(struct queue_reason *r)
{
	if (r)
		r->refs++;
	return r;
}

void queue_reason_put(struct queue_reasons *t, struct queue_reason **rp)
{
	struct queue_reason *r = *rp;

	*rp = NULL;
	if (!r)
		return;
	require(r->refs > 0);
	if (--r->refs > 0)
		return;
	t->bytes -= sizeof *r + r->node.key.n;
	map_remove(&t->map, &r->node);
	free(r);
}

void queue_reason_tell(const struct queue_reason *r, struct queue_outcome *o)
{
	if (!r) {
		o->code = 0;
		o->enhanced = o->text = o->remote = (struct span){ 0 };
		return;
	}
	o->code = r->code;
	o->enhanced = span_make(r->octets + HEAD, r->enhanced_n);
	o->text = span_make(r->octets + HEAD + r->enhanced_n, r->text_n);
	o->remote = span_make(r->octets + HEAD + r->enhanced_n + r->text_n, r->remote_n);
}
