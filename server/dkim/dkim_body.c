#include "dkim/dkim_body.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/tls_digest.h"

struct body_hash {
	struct mail_dkim_body form;
	struct tls_hash *hash;
	bool failed;
	uint8_t digest[MAIL_DKIM_HASH_OCTETS];
};

struct dkim_body {
	int n;
	bool begun, ended;
	struct body_hash v[DKIM_BODY_HASHES_MAX];
};

struct dkim_body *dkim_body_new(void)
{
	return mem_alloc(sizeof(struct dkim_body));
}

void dkim_body_free(struct dkim_body **b)
{
	if (!*b)
		return;
	for (int i = 0; i < (*b)->n; i++)
		tls_hash_free(&(*b)->v[i].hash);
	free(*b);
	*b = NULL;
}

int dkim_body_want(struct dkim_body *b, enum mail_dkim_canon canon, uint64_t limit_octets)
{
	if (!verify(!b->begun && !b->ended))
		return -ERR_BUG;
	for (int i = 0; i < b->n; i++)
		if (b->v[i].form.canon == canon && b->v[i].form.limit_octets == limit_octets)
			return i;
	if (b->n == DKIM_BODY_HASHES_MAX)
		return -ERR_LIMIT;
	struct body_hash *x = &b->v[b->n];
	const int err = tls_hash_new(TLS_DIGEST_SHA256, &x->hash);
	if (err < 0)
		return err;
	x->form = mail_dkim_body_init(canon, limit_octets);
	return b->n++;
}

static void add_run(struct body_hash *x, struct span run)
{
	if (!x->failed && tls_hash_add(x->hash, run) < 0)
		x->failed = true;
}

void dkim_body_add(struct dkim_body *b, struct span piece)
{
	b->begun = true;
	for (int i = 0; i < b->n; i++) {
		struct body_hash *x = &b->v[i];
		struct span in = piece, run;
		while (mail_dkim_body_next(&x->form, &in, &run))
			add_run(x, run);
	}
}

void dkim_body_end(struct dkim_body *b)
{
	struct span run;

	if (b->ended)
		return;
	b->ended = true;
	for (int i = 0; i < b->n; i++) {
		struct body_hash *x = &b->v[i];
		while (mail_dkim_body_end(&x->form, &run))
			add_run(x, run);
		if (tls_hash_end(x->hash, x->digest) < 0)
			x->failed = true;
		tls_hash_free(&x->hash);
	}
}

const uint8_t *dkim_body_hash(const struct dkim_body *b, int i)
{
	if (!verify(b->ended && i >= 0 && i < b->n))
		return NULL;
	return b->v[i].failed ? NULL : b->v[i].digest;
}

uint64_t dkim_body_octets(const struct dkim_body *b, int i)
{
	return verify(i >= 0 && i < b->n) ? b->v[i].form.octets : 0;
}
