/* fuzz_spool_envelope.c - what decodes is the same when it is encoded and decoded again. */
#include <stdint.h>
#include <stdlib.h>

#include "spool/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct envelope *a, const struct envelope *b)
{
	bool ok = a->flags == b->flags && a->arrived_at_us == b->arrived_at_us &&
		  a->deliver_by_us == b->deliver_by_us && span_eq(a->sender, b->sender) &&
		  span_eq(a->envid, b->envid) && span_eq(a->session, b->session) &&
		  span_eq(a->device, b->device) && span_eq(a->listener, b->listener) &&
		  span_eq(a->helo, b->helo) && span_eq(a->client_name, b->client_name) &&
		  span_eq(a->protocol, b->protocol) && span_eq(a->vars, b->vars) &&
		  span_eq(a->hold_reason, b->hold_reason) && span_eq(a->message_id, b->message_id) &&
		  span_eq(a->subject, b->subject) && ip_eq(&a->client, &b->client) && a->nrcpt == b->nrcpt;

	for (uint32_t i = 0; ok && i < a->nrcpt; i++) {
		const struct envelope_rcpt *x = &a->rcpt[i], *y = &b->rcpt[i];
		ok = span_eq(x->address, y->address) && span_eq(x->domain, y->domain) &&
		     span_eq(x->orcpt, y->orcpt) && span_eq(x->route, y->route) && x->notify == y->notify;
	}
	return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(1024 * 1024);
	struct buf b = BUF_INIT(ENVELOPE_OCTETS_MAX);
	struct envelope env, again;

	if (envelope_decode(span_make(data, size), a, &env) == 0) {
		if (!envelope_encode(&env, &b) || envelope_decode(buf_span(&b), a, &again) < 0 ||
		    !same(&env, &again))
			abort();
	}
	buf_free(&b);
	arena_free(&a);
	return 0;
}
