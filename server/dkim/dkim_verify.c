/* The happy path:
 *
 *   1. head     each signature becomes a check: what it covers is hashed at once, its key is a lookup, shared by those that have
 *               the same name; of ARC the newest message signature and all seals are checks too
 *   2. start    TXT of every lookup
 *   3. on_txt   the record is read and the key loaded; after the last one the op is done
 *   4. finish   hash of the body, then the signature with the key
 *
 * How it fails: a field that cannot be read has its result in 1 and needs no key. No answer, also at the deadline or on cancel, is
 * DKIM_TEMPERROR; no record is DKIM_PERMERROR. A chain passes when it is formed as it must be and every one of its checks passes.
 */
#include "dkim/dkim_verify.h"

#include <stdlib.h>

#include "base/base64.h"
#include "base/check.h"
#include "mail/mail_dkim_key.h"
#include "tls/tls_digest.h"
#include "tls/tls_sign.h"

/* As in dkim_sign.c: what a signature covers. */
enum { COVER_MAX = 8 * 1024 * 1024, COVERED_MAX = 16 * 1024 * 1024 /* of a seal's set */ };

/* Where the key is, and what was found there. */
struct dkim_lookup {
	struct dns_query q;
	struct dkim_verify *owner;
	struct span name;
	enum dkim_result result; /* DKIM_PASS: there is a key */
	const char *why;
	struct mail_dkim_key record;
	struct tls_public_key *key;
};

struct dkim_check {
	struct mail_dkim_sig sig;
	struct dkim_outcome outcome; /* known already unless it is DKIM_NONE */
	struct dkim_lookup *lookup;
	int body; /* number of its hash; -1: a seal, which has none */
	uint8_t digest[MAIL_DKIM_HASH_OCTETS];
};

const char *dkim_result_name(enum dkim_result r)
{
	static const char *const names[] = {
#define X(name, text) text,
		DKIM_RESULT_MAP(X)
#undef X
	};

	return names[r];
}

void dkim_verify_init(struct dkim_verify *v, void (*done)(struct op *op))
{
	*v = (struct dkim_verify){ .n = 0 };
	op_init(&v->op, done);
}

void dkim_verify_deinit(struct dkim_verify *v)
{
	require(!op_pending(&v->op) && v->pending == 0);
	for (size_t i = 0; i < v->lookups_n; i++) {
		dns_query_deinit(&v->lookups[i].q);
		tls_public_key_free(&v->lookups[i].key);
	}
	v->lookups_n = v->checks_n = v->n = 0;
	v->outcome = NULL;
	arena_free(&v->arena);
}

/* ---- 1. head ------------------------------------------------------------------------------------------- */

static void decide(struct dkim_outcome *o, enum dkim_result result, const char *why)
{
	o->result = result;
	o->why = why;
}

/* What the results name must not point into the head, which goes. */
static void describe(struct dkim_verify *v, struct dkim_check *c)
{
	struct dkim_outcome *o = &c->outcome;
	struct mail_dkim_sig *sig = &c->sig;
	struct buf begin = BUF_INIT(BASE64_LEN(MAIL_DKIM_SIGNATURE_MAX));

	o->domain = sig->domain = arena_dup(v->arena, sig->domain);
	o->selector = sig->selector = arena_dup(v->arena, sig->selector);
	sig->identity_domain = arena_dup(v->arena, sig->identity_domain);
	o->identity = sig->kind == MAIL_DKIM_FIELD && sig->identity.n ? arena_dup(v->arena, sig->identity)
								      : (struct span){ NULL, 0 };
	o->algorithm = sig->algorithm;
	base64_encode(&begin, span_first(sig->signature, 6)); /* 6 octets are 8 characters */
	memcpy(o->begin, begin.p ? begin.p : "", begin.n < sizeof o->begin ? begin.n : sizeof o->begin - 1);
	buf_free(&begin);
	sig->names = NULL; /* they point into the head too */
	sig->names_n = 0;
	sig->chain = (struct span){ NULL, 0 };
}

static void on_txt(struct op *op);

static struct dkim_lookup *lookup_of(struct dkim_verify *v, const struct mail_dkim_sig *sig)
{
	struct buf b = BUF_INIT(2 * MAIL_DKIM_DOMAIN_MAX + 32);
	struct dkim_lookup *l = NULL;

	if (mail_dkim_key_name(&b, sig->selector, sig->domain) == 0) {
		for (size_t i = 0; i < v->lookups_n && !l; i++)
			if (span_ieq(v->lookups[i].name, buf_span(&b)))
				l = &v->lookups[i];
		if (!l) {
			l = &v->lookups[v->lookups_n++];
			l->owner = v;
			l->name = arena_dup(v->arena, buf_span(&b));
			dns_query_init(&l->q, on_txt);
			l->result = DKIM_TEMPERROR;
			l->why = "the key could not be learned in time";
		}
	}
	buf_free(&b);
	return l;
}

/* A signature that could be read: what it covers, and what is needed to check it. */
static int prepare(struct dkim_verify *v, struct dkim_check *c, const struct mail_head *h,
		   const struct mail_field *f, int64_t now_s)
{
	struct buf cover = BUF_INIT(COVER_MAX);

	if (c->sig.expires_s >= 0 && c->sig.expires_s < now_s) {
		decide(&c->outcome, DKIM_FAIL, "the signature has expired");
		return 0;
	}
	c->body = dkim_body_want(v->body, c->sig.body_canon, c->sig.limit_octets);
	if (c->body < 0) {
		decide(&c->outcome, DKIM_POLICY, "too many kinds of signatures");
		return 0;
	}
	int err = mail_dkim_sig_cover(&cover, h, &c->sig, f) ? 0 : -ERR_TOOBIG;
	if (err == 0)
		err = tls_digest(TLS_DIGEST_SHA256, buf_span(&cover), c->digest);
	buf_free(&cover);
	return err;
}

static struct dkim_check *add_check(struct dkim_verify *v)
{
	struct dkim_check *c = &v->checks[v->checks_n++];

	c->body = -1;
	c->outcome.why = "";
	return c;
}

/* After its signature was read and prepared. */
static void settle(struct dkim_verify *v, struct dkim_check *c)
{
	describe(v, c);
	if (c->outcome.result != DKIM_NONE)
		return;
	c->lookup = lookup_of(v, &c->sig);
	if (!c->lookup)
		decide(&c->outcome, DKIM_PERMERROR, "the key cannot have that name");
}

static int add_signatures(struct dkim_verify *v, const struct mail_head *h, int64_t now_s)
{
	for (const struct mail_field *f = mail_head_next(h, NULL); f; f = mail_head_next(h, f)) {
		const char *why = "";
		int err = 0;
		if (!span_ieq(f->name, SPAN("DKIM-Signature")))
			continue;
		if (v->n == DKIM_VERIFY_SIGNATURES_MAX) {
			v->ignored++;
			continue;
		}
		struct dkim_check *c = add_check(v);
		v->n++;
		if (mail_dkim_sig_parse(v->arena, MAIL_DKIM_FIELD, f, &c->sig, &why) < 0)
			decide(&c->outcome, DKIM_NEUTRAL, why);
		else
			err = prepare(v, c, h, f, now_s);
		if (err < 0)
			return err;
		settle(v, c);
	}
	return 0;
}

/* The hash of one seal: all the sets below it, then its own without the signature. @below has seen the former and sees this set. */
static int digest_seal(const struct mail_arc *arc, size_t i, struct tls_hash *below, uint8_t *digest)
{
	static const struct mail_arc none = { .n = 0 };
	const struct mail_arc_set *set = &arc->v[i];
	struct buf own = BUF_INIT(COVER_MAX), whole = BUF_INIT(COVERED_MAX);
	struct tls_hash *hash = NULL;
	int err = tls_hash_copy(below, &hash);

	if (err == 0 && !mail_arc_cover(&own, &none, 0, set->results->raw, set->message->raw, set->seal->raw))
		err = -ERR_TOOBIG;
	if (err == 0)
		err = tls_hash_add(hash, buf_span(&own));
	if (err == 0)
		err = tls_hash_end(hash, digest);
	mail_dkim_canon_field(&whole, MAIL_DKIM_RELAXED, set->results->raw);
	mail_dkim_canon_field(&whole, MAIL_DKIM_RELAXED, set->message->raw);
	mail_dkim_canon_field(&whole, MAIL_DKIM_RELAXED, set->seal->raw);
	if (err == 0)
		err = whole.overflow ? -ERR_TOOBIG : tls_hash_add(below, buf_span(&whole));
	buf_free(&own);
	buf_free(&whole);
	tls_hash_free(&hash);
	return err;
}

static int add_seals(struct dkim_verify *v, const struct mail_arc *arc)
{
	struct tls_hash *below = NULL;
	int err = tls_hash_new(TLS_DIGEST_SHA256, &below);

	for (size_t i = 0; i < arc->n && err == 0; i++) {
		struct dkim_check *c = add_check(v);
		c->sig = arc->v[i].seal_sig;
		err = digest_seal(arc, i, below, c->digest);
		if (err == 0)
			settle(v, c);
	}
	tls_hash_free(&below);
	return err;
}

/* RFC 8617 section 5.2: the newest message signature, and every seal. */
static int add_chain(struct dkim_verify *v, const struct mail_head *h, const struct mail_arc *arc,
		     int64_t now_s)
{
	v->sets = arc->n;
	v->chain.why = "";
	if (arc->n == 0)
		return 0;
	if (arc->why) {
		decide(&v->chain, DKIM_FAIL, arc->why);
		return 0;
	}
	const struct mail_arc_set *newest = &arc->v[arc->n - 1];
	struct dkim_check *c = add_check(v);
	c->sig = newest->message_sig;
	const int err = prepare(v, c, h, newest->message, now_s);
	if (err < 0)
		return err;
	settle(v, c);
	return add_seals(v, arc);
}

int dkim_verify_head(struct dkim_verify *v, const struct mail_head *h, struct dkim_body *body, bool chain,
		     int64_t now_s)
{
	struct mail_arc arc = { .n = 0 };
	int err = 0;

	v->arena = arena_new(DKIM_VERIFY_BYTES_MAX);
	v->body = body;
	if (chain)
		err = mail_arc_parse(v->arena, h, &arc);
	const size_t max = DKIM_VERIFY_SIGNATURES_MAX + 1 + (arc.why ? 0 : arc.n);
	v->checks = arena_array(v->arena, struct dkim_check, max);
	v->lookups = arena_array(v->arena, struct dkim_lookup, max);
	v->outcome = arena_array(v->arena, struct dkim_outcome, DKIM_VERIFY_SIGNATURES_MAX);
	if (err == 0 && (!v->checks || !v->lookups || !v->outcome))
		err = -ERR_TOOBIG;
	if (err == 0)
		err = add_signatures(v, h, now_s);
	if (err == 0)
		err = add_chain(v, h, &arc, now_s);
	if (err < 0)
		v->n = v->checks_n = v->lookups_n = v->sets = 0;
	return err;
}

/* ---- 3. on_txt ----------------------------------------------------------------------------------------- */

static void load_key(struct dkim_lookup *l)
{
	const enum tls_key_kind kind = l->record.kind == MAIL_DKIM_KEY_RSA ? TLS_KEY_RSA : TLS_KEY_ED25519;
	const int err = l->record.revoked ? 0 : tls_public_key_parse(kind, l->record.octets, &l->key);

	l->result = err == 0 ? DKIM_PASS : err == -ERR_INVAL ? DKIM_POLICY : DKIM_PERMERROR;
	/* RFC 8301 section 3.2 */
	l->why = err == 0            ? ""
		 : err == -ERR_INVAL ? "the key is too short or too long"
				     : "the key in the record cannot be read";
}

/* There should be one record. Of several the first counts that is a key (RFC 6376 section 3.6.2.2 leaves it open). */
static void read_records(struct dkim_lookup *l, const struct dns_answer *a)
{
	const char *first = NULL;

	for (size_t i = 0; i < a->n; i++) {
		const char *why = "";
		if (mail_dkim_key_parse(l->owner->arena, a->record[i].data, &l->record, &why) == 0) {
			load_key(l);
			return;
		}
		first = first ? first : why;
	}
	l->result = DKIM_PERMERROR;
	l->why = first ? first : "there is no key of that name";
}

static void on_txt(struct op *op)
{
	struct dkim_lookup *l = container_of(op, struct dkim_lookup, q.op);
	struct dkim_verify *v = l->owner;
	const struct dns_answer *a = dns_query_answer(&l->q);

	switch (a->result) {
	case DNS_OK:
		read_records(l, a);
		break;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		l->result = DKIM_PERMERROR;
		l->why = "there is no key of that name";
		break;
	case DNS_TEMPFAIL:
		l->result = DKIM_TEMPERROR;
		l->why = "the key could not be learned";
		break;
	case DNS_INVALID:
		l->result = DKIM_PERMERROR;
		l->why = "the key cannot have that name";
		break;
	}
	if (--v->pending == 0)
		op_complete(&v->op, 0);
}

/* ---- 2. start ------------------------------------------------------------------------------------------ */

/* The answers come all the same, later, and end it. */
static void cancel(struct op *op)
{
	struct dkim_verify *v = container_of(op, struct dkim_verify, op);

	for (size_t i = 0; i < v->lookups_n; i++)
		op_cancel(&v->lookups[i].q.op);
}

int dkim_verify_start(struct dkim_verify *v, struct dns *dns, struct scope *scope, int64_t deadline_us)
{
	const int err = op_begin(&v->op, scope, "dkim keys", deadline_us, cancel);

	if (err < 0)
		return err;
	for (size_t i = 0; i < v->lookups_n; i++) {
		struct dkim_lookup *l = &v->lookups[i];
		v->pending += dns_query_start(&l->q, dns, scope, DNS_TXT, l->name, deadline_us) == 0;
	}
	if (v->pending == 0)
		op_complete(&v->op, 0);
	return 0;
}

/* ---- 4. finish ----------------------------------------------------------------------------------------- */

static void check_signature(struct dkim_verify *v, struct dkim_check *c)
{
	const uint8_t *hash = c->body < 0 ? NULL : dkim_body_hash(v->body, c->body);
	struct dkim_outcome *o = &c->outcome;

	if (c->body >= 0 && !hash) {
		decide(o, DKIM_TEMPERROR, "the hash of the body could not be computed");
	} else if (hash && c->sig.limit_octets != MAIL_DKIM_NO_LIMIT &&
		   c->sig.limit_octets > dkim_body_octets(v->body, c->body)) {
		decide(o, DKIM_FAIL,
		       "the body is shorter than what was signed"); /* RFC 6376 section 3.5, l= */
	} else if (hash && memcmp(hash, c->sig.body_hash, sizeof c->sig.body_hash) != 0) {
		decide(o, DKIM_FAIL, "the body is not what was signed");
	} else if (tls_verify(c->lookup->key, c->digest, c->sig.signature) < 0) {
		decide(o, DKIM_FAIL, "the header is not what was signed");
	} else {
		decide(o, DKIM_PASS, "");
		o->partial = hash && dkim_body_octets(v->body, c->body) > c->sig.limit_octets;
	}
}

static void conclude(struct dkim_verify *v, struct dkim_check *c)
{
	const struct dkim_lookup *l = c->lookup;
	struct dkim_outcome *o = &c->outcome;

	if (o->result != DKIM_NONE)
		return;
	if (l->result != DKIM_PASS) {
		decide(o, l->result, l->why);
		return;
	}
	const char *refused = mail_dkim_key_refuses(&l->record, &c->sig);
	o->testing = l->record.testing;
	o->key_bits = l->key ? tls_public_key_bits(l->key) : 0;
	if (refused)
		decide(o, DKIM_PERMERROR, refused);
	else
		check_signature(v, c);
	/* RFC 6376 section 3.6.1, t=y: as if it were not signed */
	if (o->testing && o->result == DKIM_FAIL)
		o->result = DKIM_NEUTRAL;
}

static void conclude_chain(struct dkim_verify *v)
{
	if (v->checks_n <= v->n)
		return;
	const struct dkim_check *newest = &v->checks[v->checks_n - 1];
	v->chain = newest->outcome;
	for (size_t i = v->n; i < v->checks_n; i++) {
		const struct dkim_outcome *o = &v->checks[i].outcome;
		if (o->result == DKIM_PASS)
			continue;
		/* What is known to be wrong outweighs what is not known. */
		if (o->result != DKIM_TEMPERROR) {
			decide(&v->chain, DKIM_FAIL, o->why);
			return;
		}
		decide(&v->chain, DKIM_TEMPERROR, o->why);
	}
}

void dkim_verify_finish(struct dkim_verify *v)
{
	for (size_t i = 0; i < v->checks_n; i++)
		conclude(v, &v->checks[i]);
	conclude_chain(v);
	for (size_t i = 0; i < v->n; i++)
		v->outcome[i] = v->checks[i].outcome;
}
