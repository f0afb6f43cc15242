/* dkim_bed.h - a loop, a resolver that knows the keys it is given, and a verification from the first octet to the results. */
#pragma once

#include "base/mem.h"
#include "dkim/dkim_signer.h"
#include "dkim/dkim_verify.h"
#include "dns/dns_test.h"
#include "mail/mail_dkim_key.h"
#include "test.h"

enum { BED_NOW_S = 1700000000 };

struct dkim_bed {
	struct dns_test t;
	struct dns_hosts *hosts;
	struct dkim_verify v;
	struct dkim_body *body;
	struct arena *arena;
	bool started;
};

static inline void dkim_bed_key(struct dkim_bed *b, const char *name, const char *record)
{
	struct errtext why = { "" };

	CHECK_INT(0, dns_hosts_add(b->hosts, span_of(name), DNS_TXT, span_of(record), &why));
	CHECK_STR("", why.s);
}

static inline void dkim_bed_result(struct dkim_bed *b, const char *name, enum dns_result result)
{
	struct errtext why = { "" };

	CHECK_INT(0, dns_hosts_add_result(b->hosts, span_of(name), DNS_TXT, result, &why));
}

static inline void dkim_bed_init(struct dkim_bed *b)
{
	memset(b, 0, sizeof *b);
	b->hosts = dns_hosts_new();
}

/* The public half of a key, where a verifier looks for it. */
static inline void dkim_bed_publish(struct dkim_bed *b, const struct dkim_signer *s)
{
	struct span domain, selector;
	const struct tls_private_key *key;

	for (size_t i = 0; (key = dkim_signer_key(s, i, &domain, &selector)); i++) {
		struct buf octets = BUF_INIT(2000), record = BUF_INIT(4000), name = BUF_INIT(300);
		tls_private_key_public(key, &octets);
		mail_dkim_key_write(&record,
				    tls_private_key_kind(key) == TLS_KEY_RSA ? MAIL_DKIM_KEY_RSA
									     : MAIL_DKIM_KEY_ED25519,
				    buf_span(&octets));
		mail_dkim_key_name(&name, selector, domain);
		dkim_bed_key(b, buf_cstr(&name), buf_cstr(&record));
		buf_free(&octets);
		buf_free(&record);
		buf_free(&name);
	}
}

/* The whole way; @step octets of the body at a time. Without a @script answers come from the table alone. */
static inline void dkim_bed_verify(struct dkim_bed *b, struct span message, size_t step, const char *script,
				   int64_t deadline_us)
{
	struct dns_config config = dns_test_config();
	struct mail_head *h = NULL;

	if (!b->started) {
		config.hosts = b->hosts;
		dns_test_start(&b->t, script, config);
		b->started = true;
	}
	dkim_verify_deinit(&b->v);
	dkim_body_free(&b->body);
	arena_free(&b->arena);
	b->arena = arena_new(4 * 1024 * 1024);
	b->body = dkim_body_new();
	/* Where the octets of the head are is not where they are when the results are read. */
	char *copy = mem_strndup(message.p, message.n);
	const int octets = mail_head_parse(b->arena, span_make(copy, message.n), message.n, &h);
	NEED(octets >= 0);
	dkim_verify_init(&b->v, nothing_done);
	CHECK_INT(0, dkim_verify_head(&b->v, h, b->body, true, BED_NOW_S));
	memset(copy, '!', (size_t)octets);
	CHECK_INT(0, dkim_verify_start(&b->v, b->t.dns, &b->t.scope, deadline_us));
	for (struct span rest = span_skip(message, (size_t)octets); rest.n; rest = span_skip(rest, step))
		dkim_body_add(b->body, span_first(rest, step));
	dkim_body_end(b->body);
	dns_test_wait(&b->t, &b->v.op);
	dkim_verify_finish(&b->v);
	free(copy);
}

static inline void dkim_bed_deinit(struct dkim_bed *b)
{
	dkim_verify_deinit(&b->v);
	dkim_body_free(&b->body);
	arena_free(&b->arena);
	if (b->started)
		dns_test_stop(&b->t);
	dns_hosts_free(&b->hosts);
}

/* "pass fail:the body is not what was signed" */
static inline struct span dkim_bed_results(struct dkim_bed *b)
{
	struct buf out = BUF_INIT(4000);

	for (size_t i = 0; i < b->v.n; i++)
		buf_addf(&out, "%s%s%s%s", i ? ", " : "", dkim_result_name(b->v.outcome[i].result),
			 b->v.outcome[i].why[0] ? ": " : "", b->v.outcome[i].why);
	const struct span s = arena_dup(b->arena, buf_span(&out));
	buf_free(&out);
	return s;
}
