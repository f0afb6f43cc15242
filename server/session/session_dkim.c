/* session_dkim.c - signatures of the message that is being received: verified for the policies, and ours put on top.
 *
 *   1. the header section is here: what its signatures cover is hashed, their keys are asked for
 *   2. the body is hashed while it streams by, once for each kind of signature and for ours
 *   3. before the message hook: the keys are waited for; results are in the view, fields that claim to be ours are gone
 *   4. after the last hook has edited the header: Authentication-Results, our signatures, an ARC set
 *
 * Ways it fails: keys that cannot be learned in time are a result, not a failure. What libcrypto cannot sign is not sent unsigned:
 * 451. The message is over while keys are asked for: the look-up is cancelled, and frees what is here when it has ended.
 */
#include "session/session_priv.h"

#include <stdlib.h>

#include "base/mem.h"
#include "dkim/dkim_results.h"
#include "dkim/dkim_signer.h"
#include "mail/mail_authres.h"
#include "mail/mail_fold.h"

enum { RESULTS_MAX = 64 * 1024, SIGNATURES_MAX = 256 * 1024 };

struct session_dkim {
	struct session *s; /* NULL: its message is over */
	struct dkim_body *body;
	struct dkim_verify verify;
	int own;       /* number of the hash that our signatures want */
	bool verifies; /* verify is in use */
	bool awaited;  /* the session waits for it */
	bool finished;
	struct span signed_by; /* a domain of the signer's */
};

static void dkim_free(struct session_dkim *d)
{
	dkim_verify_deinit(&d->verify);
	dkim_body_free(&d->body);
	free(d);
}

static void on_keys(struct op *op)
{
	struct session_dkim *d = container_of(op, struct session_dkim, verify.op);

	if (!d->s) {
		dkim_free(d);
	} else if (d->awaited) {
		d->awaited = false;
		session_run(d->s);
	}
}

void session_dkim_free(struct session *s)
{
	struct session_dkim *d = s->msg->dkim;

	if (!d)
		return;
	s->msg->dkim = NULL;
	s->msg->view.dkim = NULL;
	d->s = NULL;
	if (op_pending(&d->verify.op))
		op_cancel(&d->verify.op);
	else
		dkim_free(d);
}

bool session_dkim_pending(const struct session *s)
{
	return s->msg && s->msg->dkim && s->msg->dkim->awaited;
}

/* ---- 1. ------------------------------------------------------------------------------------------------------------ */

/* A header section that cannot be taken apart is refused later, by whoever reads it then. */
static void verify_head(struct session *s, struct session_dkim *d, struct span head)
{
	const struct session_listener *l = s->listener;
	struct arena *a = arena_new((size_t)l->head_max_bytes * 4 + 512 * 1024);
	struct mail_head *h = NULL;

	if (s->env->dns && mail_head_parse(a, head, l->head_max_bytes, &h) >= 0 &&
	    dkim_verify_head(&d->verify, h, d->body, true, loop_wall_us(s->env->loop) / 1000000) == 0)
		d->verifies = dkim_verify_start(&d->verify, s->env->dns, &s->scope, l->dkim_timeout_us) == 0;
	arena_free(&a);
}

void session_dkim_head(struct session *s)
{
	const struct session_listener *l = s->listener;
	struct session_msg *m = s->msg;

	if (m->dkim || m->fail.code || (!l->signer && !l->dkim_verify))
		return;
	struct session_dkim *d = mem_alloc(sizeof *d);
	d->s = s;
	d->body = dkim_body_new();
	dkim_verify_init(&d->verify, on_keys);
	d->own = dkim_body_want(d->body, MAIL_DKIM_RELAXED, MAIL_DKIM_NO_LIMIT);
	m->dkim = d;
	if (l->dkim_verify)
		verify_head(s, d,
			    span_first(buf_span(&m->head), m->scan.end == MAIL_HEAD_END_NONE
								   ? m->head.n
								   : (size_t)m->scan.line_octets));
}

/* ---- 2. ------------------------------------------------------------------------------------------------------------ */

void session_dkim_body(struct session *s, struct span run)
{
	if (s->msg->dkim)
		dkim_body_add(s->msg->dkim->body, run);
}

/* ---- 3. ------------------------------------------------------------------------------------------------------------ */

bool session_dkim_wait(struct session *s)
{
	struct session_dkim *d = s->msg->dkim;

	if (!d || d->finished)
		return false;
	if (d->verifies && op_pending(&d->verify.op)) {
		d->awaited = true;
		return true;
	}
	d->finished = true;
	dkim_body_end(d->body);
	if (d->verifies) {
		dkim_verify_finish(&d->verify);
		s->msg->view.dkim = &d->verify;
	}
	return false;
}

void session_dkim_drop_forged(struct session *s)
{
	struct session_msg *m = s->msg;

	/* RFC 8601 section 5 */
	if (s->listener->dkim_verify && mail_authres_drop(m->view.head, s->listener->hostname) < 0)
		session_msg_fail(s, 552, SMTP_ENHANCED(5, 3, 4), "header-size",
				 "the header section is too large");
}

/* ---- 4. ------------------------------------------------------------------------------------------------------------ */

/* Our signatures become fields of the head, so that a seal covers them. */
static int sign(struct session *s, const uint8_t *hash, int64_t now_s)
{
	struct mail_head *h = s->msg->view.head, *fields = NULL;
	struct buf made = BUF_INIT(SIGNATURES_MAX);
	int n = dkim_sign(s->listener->signer, h, hash, now_s, &made);

	if (n > 0) {
		s->msg->dkim->signed_by = dkim_signer_domain(s->listener->signer, h);
		const struct span kept = arena_dup(h->arena, buf_span(&made));
		if (!kept.p || mail_head_parse(h->arena, kept, kept.n, &fields) < 0)
			n = -ERR_TOOBIG;
	}
	for (int i = n; i > 0; i--) {
		const int err =
			mail_head_prepend_raw(h, mail_head_find(fields, SPAN("DKIM-Signature"), i - 1)->raw);
		if (err < 0)
			n = err;
	}
	buf_free(&made);
	return n;
}

/* The value that others are told. */
static bool write_results(struct session *s, struct buf *value)
{
	return dkim_results_write(value, s->listener->hostname, &s->msg->dkim->verify,
				  s->msg->dkim->verify.sets > 0);
}

static int seal(struct session *s, struct span results, const uint8_t *hash, int64_t now_s, struct buf *out)
{
	const struct dkim_verify *v = &s->msg->dkim->verify;
	struct mail_head *h = s->msg->view.head;
	struct mail_arc chain;

	/* What could not be found out is not sealed: "fail" would end the chain for good. */
	if (v->chain.result == DKIM_TEMPERROR)
		return 0;
	const int err = mail_arc_parse(h->arena, h, &chain);
	if (err < 0)
		return err;
	const bool passed = v->chain.result == DKIM_PASS || (v->chain.result == DKIM_NONE && chain.n == 0);
	return dkim_seal(s->listener->signer, h, &chain, passed, results, hash, now_s, out);
}

int session_dkim_finish_head(struct session *s, struct buf *out)
{
	const struct session_listener *l = s->listener;
	struct session_dkim *d = s->msg->dkim;
	struct buf results = BUF_INIT(RESULTS_MAX);
	int err = 0;

	if (!d)
		return 0;
	const uint8_t *hash = d->own < 0 ? NULL : dkim_body_hash(d->body, d->own);
	const int64_t now_s = loop_wall_us(s->env->loop) / 1000000;
	if (l->signer)
		err = hash ? sign(s, hash, now_s) : -ERR_BUG;
	if (err >= 0 && d->verifies && !write_results(s, &results))
		err = -ERR_TOOBIG;
	if (err >= 0 && d->verifies && l->arc_seal && l->signer && hash)
		err = seal(s, buf_span(&results), hash, now_s, out);
	if (err >= 0 && d->verifies)
		err = mail_field_write(out, SPAN("Authentication-Results"), buf_span(&results), 0);
	buf_free(&results);
	return err < 0 ? err : 0;
}

void session_dkim_log(struct session *s, struct log_rec *r)
{
	const struct session_dkim *d = s->msg->dkim;
	const struct dkim_verify *v = s->msg->view.dkim;

	if (d && d->signed_by.n)
		log_str(r, LOG_F_SIGNED_BY, d->signed_by);
	if (!v || !v->n)
		return;
	struct json *j = log_json(r, LOG_F_DKIM);
	json_array(j, NULL);
	for (size_t i = 0; i < v->n; i++) {
		const struct dkim_outcome *o = &v->outcome[i];
		json_object(j, NULL);
		json_str(j, "domain", o->domain);
		json_str(j, "selector", o->selector);
		json_cstr(j, "result", dkim_result_name(o->result));
		json_cstr(j, "reason", o->why);
		json_object_end(j);
	}
	json_array_end(j);
}
