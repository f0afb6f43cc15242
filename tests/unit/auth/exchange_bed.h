/* exchange_bed.h - what plays AUTH commands against backends that live in the test: a loop, a scope, a server, a channel.
 *
 * auth_gssapi.h is played too: a token "ok:NAME" is that user, "more" asks for another, "bad" is refused, "down" is our fault.
 */
#pragma once

#include <stdio.h>

#include "auth/auth_exchange.h"
#include "auth/auth_gssapi.h"
#include "auth/auth_scram.h"
#include "base/base64.h"
#include "base/check.h"
#include "test.h"

enum { EXCHANGE_BED_LONG_US = 60 * 1000000 };

struct bed_user {
	const char *name, *password;
	enum auth_answer answer; /* to the right password */
};

struct bed_backend {
	struct auth_backend head;
	const struct bed_user *users;
	size_t nusers;
	bool down, silent, busy;
	unsigned asked;
	bool was_last;
	struct auth_check *waiting;
};

struct bed {
	struct loop *loop;
	struct scope scope;
	struct auth_server server;
	struct auth_channel channel;
	struct bed_backend first, second;
	struct auth_exchange x;
	bool done, closed, refuse_all, no_binding;
	struct buf text, plain;
};

static inline const struct bed_user *bed_find(const struct bed_backend *b, struct span user)
{
	for (size_t i = 0; i < b->nusers; i++)
		if (span_eq(user, span_of(b->users[i].name)))
			return &b->users[i];
	return NULL;
}

static inline void bed_cancel(struct op *op)
{
	op_complete(op, -ERR_CANCELED);
}

static inline int bed_check(struct auth_backend *head, struct auth_check *c, struct scope *scope)
{
	struct bed_backend *b = container_of(head, struct bed_backend, head);
	const struct bed_user *u = bed_find(b, c->user);
	const int err =
		b->busy ? -ERR_BUSY : op_begin(&c->op, scope, "test", EXCHANGE_BED_LONG_US, bed_cancel);

	if (err < 0)
		return err;
	b->asked++;
	b->was_last = c->last;
	if (b->silent)
		return 0;
	if (b->down) {
		c->answer = AUTH_ANSWER_TEMPFAIL;
		(void)snprintf(c->why, sizeof c->why, "nobody is at home");
	} else if (!u) {
		c->answer = AUTH_ANSWER_UNKNOWN_HERE;
	} else if (!secret_eq(c->password, span_of(u->password))) {
		c->answer = AUTH_ANSWER_WRONG;
	} else {
		c->answer = u->answer;
		(void)snprintf(c->identity.user, sizeof c->identity.user, "%s@%s", u->name, head->ops->name);
	}
	op_complete(&c->op, 0);
	return 0;
}

static inline void bed_verifier(struct auth_backend *head, struct span user, struct auth_verifier *v)
{
	const struct bed_user *u = bed_find(container_of(head, struct bed_backend, head), user);
	uint8_t salted[AUTH_SCRAM_KEY];

	if (!u)
		return;
	v->answer = u->answer;
	v->nsalt = 4;
	memcpy(v->salt, "salt", 4);
	v->iterations = 4096;
	NEED(auth_scram_salted(span_of(u->password), SPAN("salt"), 4096, salted) == 0);
	NEED(auth_scram_keys(salted, v->stored_key, v->server_key) == 0);
	(void)snprintf(v->identity.user, sizeof v->identity.user, "%s", u->name);
}

static inline int bed_binding(void *arg, struct span type, uint8_t *out, size_t max)
{
	const struct bed *b = arg;

	if (b->no_binding || !span_eq(type, SPAN("tls-exporter")) || max < 8)
		return -ERR_UNSUPPORTED;
	memcpy(out, "the line", 8);
	return 8;
}

static inline bool bed_may_try(void *arg, struct span user)
{
	(void)user;
	return !((struct bed *)arg)->refuse_all;
}

static inline void bed_done(struct op *op)
{
	struct bed *b = container_of(op, struct bed, x.op);

	CHECK(!b->done);
	b->done = true;
}

static inline void bed_closed(struct scope *s)
{
	container_of(s, struct bed, scope)->closed = true;
}

static const struct auth_backend_ops bed_ops_first = { .name = "first",
						       .check = bed_check,
						       .verifier = bed_verifier };
static const struct auth_backend_ops bed_ops_second = { .name = "second", .check = bed_check };

static const struct bed_user bed_users_first[] = {
	{ "supercoolusername", "supercoolpassword", AUTH_ANSWER_RIGHT },
	{ "copier7", "se,cr=et", AUTH_ANSWER_RIGHT },
	{ "old", "pw", AUTH_ANSWER_EXPIRED },
	{ "gone", "pw", AUTH_ANSWER_LOCKED },
};
static const struct bed_user bed_users_second[] = { { "second", "pw", AUTH_ANSWER_RIGHT },
						    { "copier7", "other", AUTH_ANSWER_RIGHT } };

static inline void bed_open(struct bed *b)
{
	static char gssapi; /* its address is all that is wanted of it */

	*b = (struct bed){
		.first = { .head.ops = &bed_ops_first,
			   .users = bed_users_first,
			   .nusers = ARRAY_LEN(bed_users_first) },
		.second = { .head.ops = &bed_ops_second,
			    .users = bed_users_second,
			    .nusers = ARRAY_LEN(bed_users_second) },
		.server = { .nbackends = 2, .mechs = UINT32_MAX, .gssapi = (struct auth_gssapi *)&gssapi },
		.channel = { .tls = true, .binding = bed_binding, .may_try = bed_may_try, .arg = b },
		.text = BUF_INIT(100000),
		.plain = BUF_INIT(100000),
	};
	b->server.backend[0] = &b->first.head;
	b->server.backend[1] = &b->second.head;
	b->loop = loop_new();
	loop_set_resident(b->loop, false);
	scope_init(&b->scope, b->loop, bed_closed);
	auth_exchange_init(&b->x, &b->server, &b->channel, bed_done);
}

static inline void bed_close(struct bed *b)
{
	scope_close(&b->scope);
	while (!b->closed)
		loop_run_once(b->loop, false);
	auth_exchange_deinit(&b->x);
	loop_free(&b->loop);
	buf_free(&b->text);
	buf_free(&b->plain);
}

/* Until the step has ended. */
static inline enum auth_result bed_wait(struct bed *b)
{
	for (int i = 0; i < 1000 && !b->done; i++)
		loop_run_once(b->loop, false);
	NEED(b->done);
	return b->x.result;
}

/* @initial as it is on the line, NULL: none. A second AUTH on the same bed begins anew. */
static inline enum auth_result bed_auth(struct bed *b, const char *mech, const char *initial)
{
	auth_exchange_deinit(&b->x);
	auth_exchange_init(&b->x, &b->server, &b->channel, bed_done);
	b->done = false;
	NEED(auth_exchange_start(&b->x, &b->scope, span_of(mech), span_of(initial), EXCHANGE_BED_LONG_US) ==
	     0);
	CHECK(!b->done); /* never from inside */
	return bed_wait(b);
}

static inline enum auth_result bed_say(struct bed *b, struct span line)
{
	b->done = false;
	NEED(auth_exchange_next(&b->x, &b->scope, line, EXCHANGE_BED_LONG_US) == 0);
	CHECK(!b->done);
	return bed_wait(b);
}

static inline const char *bed_base64(struct bed *b, struct span plain)
{
	buf_reset(&b->text);
	NEED(base64_encode(&b->text, plain));
	return buf_cstr(&b->text);
}

static inline enum auth_result bed_auth64(struct bed *b, const char *mech, struct span plain)
{
	return bed_auth(b, mech, bed_base64(b, plain));
}

static inline enum auth_result bed_say64(struct bed *b, struct span plain)
{
	return bed_say(b, span_of(bed_base64(b, plain)));
}

/* The challenge without its base64. */
static inline struct span bed_challenge(struct bed *b)
{
	buf_reset(&b->plain);
	NEED(b->x.result == AUTH_CHALLENGE);
	NEED(base64_decode(&b->plain, b->x.challenge) == 0);
	return buf_span(&b->plain);
}

/* ---- a GSSAPI that needs no Kerberos -------------------------------------------------------------------- */

void auth_gssapi_exchange_init(struct auth_gssapi_exchange *x, struct auth_gssapi *g,
			       const struct auth_channel *channel, void (*done)(struct op *op))
{
	(void)channel;
	*x = (struct auth_gssapi_exchange){ .gssapi = g };
	op_init(&x->work.op, done);
}

int auth_gssapi_exchange_step(struct auth_gssapi_exchange *x, struct scope *scope, struct span token,
			      int64_t deadline_us)
{
	const int err = op_begin(&x->work.op, scope, "gssapi", deadline_us, bed_cancel);

	if (err < 0)
		return err;
	x->result = AUTH_GSSAPI_MALFORMED;
	if (span_eq(token, SPAN("silent")))
		return 0;
	if (span_starts(token, SPAN("ok:"))) {
		x->result = AUTH_GSSAPI_DONE;
		(void)snprintf(x->identity.user, sizeof x->identity.user, "%.*s",
			       SPAN_ARG(span_first(span_skip(token, 3), 255)));
		(void)snprintf(x->identity.realm, sizeof x->identity.realm, "EXAMPLE.EDU");
	} else if (span_eq(token, SPAN("more"))) {
		x->result = AUTH_GSSAPI_CHALLENGE;
		x->challenge = SPAN("");
	} else if (span_eq(token, SPAN("bad"))) {
		x->result = AUTH_GSSAPI_REFUSED;
		x->answer = AUTH_ANSWER_WRONG;
		(void)snprintf(x->why, sizeof x->why, "a bad ticket");
	} else if (span_eq(token, SPAN("down"))) {
		x->result = AUTH_GSSAPI_TEMPORARY;
		(void)snprintf(x->why, sizeof x->why, "no keytab");
	}
	op_complete(&x->work.op, 0);
	return 0;
}

void auth_gssapi_exchange_deinit(struct auth_gssapi_exchange *x)
{
	NEED(!op_pending(&x->work.op));
}
