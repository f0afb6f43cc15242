/* cli_dkim_message.c - `postern dkim verify` and `postern dkim sign`: a message in a file, the way the server does it. */
#include "base/check.h"
#include "base/json.h"
#include "dkim/dkim_results.h"
#include "main/cli_dkim.h"
#include "main/cli_dkim_priv.h"

enum { HEAD_MAX = 4 * 1024 * 1024, HEAD_MEM = 64 * 1024 * 1024, RESULTS_MAX = 64 * 1024 };

#define KEYS_US INT64_C(20000000)

/* Lines of a file end with LF, those of a message with CRLF. */
static void as_message(struct span file, struct buf *out)
{
	for (size_t i = 0; i < file.n; i++) {
		if (file.p[i] == '\n' && (i == 0 || file.p[i - 1] != '\r'))
			buf_add_char(out, '\r');
		buf_add_char(out, file.p[i]);
	}
}

/* A message that is being looked at. */
struct subject {
	struct cli_dkim_request r;
	struct buf message;
	struct arena *mem;
	struct mail_head *head;
	struct span body;
	struct dkim_body *hashes;
};

static int open_subject(struct subject *s, struct span in, struct errtext *why)
{
	*s = (struct subject){ .mem = arena_new(HEAD_MEM) };
	int err = cli_dkim_begin(&s->r, in, why);
	if (err < 0)
		return err;
	s->message = BUF_INIT(2 * s->r.message.n + 2);
	as_message(s->r.message, &s->message);
	const int octets = mail_head_parse(s->mem, buf_span(&s->message), HEAD_MAX, &s->head);
	if (octets < 0)
		return errtext_set(why, -octets, "the header of the message is too large");
	s->body = span_skip(buf_span(&s->message), (size_t)octets);
	s->hashes = dkim_body_new();
	return 0;
}

static void close_subject(struct subject *s)
{
	dkim_body_free(&s->hashes);
	arena_free(&s->mem);
	buf_free(&s->message);
	cli_dkim_end(&s->r);
}

static int64_t now_s(void)
{
	struct loop *loop = loop_new();
	const int64_t s = loop_wall_us(loop) / 1000000;

	loop_free(&loop);
	return s;
}

/* ---- verify -------------------------------------------------------------------------------------------------------- */

static void tell_outcome(struct json *j, const char *key, const struct dkim_outcome *o)
{
	json_object(j, key);
	json_cstr(j, "result", dkim_result_name(o->result));
	json_cstr(j, "reason", o->why ? o->why : "");
	json_str(j, "domain", o->domain);
	json_str(j, "selector", o->selector);
	json_cstr(j, "algorithm", mail_dkim_algorithm_name(o->algorithm));
	json_int(j, "bits", o->key_bits);
	json_bool(j, "testing", o->testing);
	json_bool(j, "partial", o->partial);
	json_object_end(j);
}

static void tell_results(const struct dkim_verify *v, struct span id, struct buf *out)
{
	struct buf results = BUF_INIT(RESULTS_MAX);
	struct json j = json_to(out);

	dkim_results_write(&results, id, v, true);
	json_object(&j, NULL);
	json_array(&j, "signatures");
	for (size_t i = 0; i < v->n; i++)
		tell_outcome(&j, NULL, &v->outcome[i]);
	json_array_end(&j);
	json_int(&j, "ignored", (int64_t)v->ignored);
	tell_outcome(&j, "arc", &v->chain);
	json_int(&j, "arc_sets", (int64_t)v->sets);
	json_str(&j, "authentication_results", buf_span(&results));
	json_object_end(&j);
	buf_free(&results);
}

static void keys_done(struct op *op)
{
	(void)op;
}

int cli_dkim_verify(void *arg, struct span in, struct buf *out, struct errtext *why)
{
	struct cli_resolver x = { .loop = NULL };
	struct dkim_verify v;
	struct subject s;

	(void)arg;
	dkim_verify_init(&v, keys_done);
	int err = open_subject(&s, in, why);
	if (err == 0)
		err = cli_resolver_open(&x, &s.r, why);
	if (err == 0)
		err = dkim_verify_head(&v, s.head, s.hashes, true, loop_wall_us(x.loop) / 1000000);
	if (err == 0)
		err = dkim_verify_start(&v, x.dns, &x.scope, KEYS_US);
	if (err == 0) {
		dkim_body_add(s.hashes, s.body);
		dkim_body_end(s.hashes);
		cli_resolver_wait(&x, &v.op);
		dkim_verify_finish(&v);
		tell_results(&v, s.r.cfg ? s.r.cfg->hostname : SPAN("localhost"), out);
	}
	dkim_verify_deinit(&v);
	cli_resolver_close(&x);
	close_subject(&s);
	return err;
}

/* ---- sign ---------------------------------------------------------------------------------------------------------- */

int cli_dkim_sign(void *arg, struct span in, struct buf *out, struct errtext *why)
{
	struct subject s;
	int err = open_subject(&s, in, why);

	(void)arg;
	if (err == 0 && (!s.r.cfg || !s.r.cfg->dkim))
		err = errtext_set(why, ERR_NOTFOUND,
				  "the configuration has no dkim = { ... }; postern dkim keygen makes a key");
	if (err == 0) {
		const int hash = dkim_body_want(s.hashes, MAIL_DKIM_RELAXED, MAIL_DKIM_NO_LIMIT);
		dkim_body_add(s.hashes, s.body);
		dkim_body_end(s.hashes);
		err = dkim_sign(s.r.cfg->dkim, s.head, dkim_body_hash(s.hashes, hash), now_s(), out);
		if (err == 0)
			err = errtext_set(why, ERR_INVAL, "nobody signs a message without From");
		else if (err < 0)
			errtext_set(why, -err, "it cannot be signed: %s", err_text(err));
	}
	if (err > 0)
		buf_add_span(out, buf_span(&s.message));
	close_subject(&s);
	return err < 0 ? err : 0;
}
