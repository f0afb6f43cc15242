/* auth/auth_exchange.h - one AUTH command, from its mechanism's name to who it is: the server's side of SASL.
 *
 *   auth_exchange_init(&x, server, &channel, on_step);
 *   err = auth_exchange_start(&x, &s->scope, mechanism, initial, deadline_us);   // initial.p NULL: none; "=" is empty (RFC 4954)
 *   auth_exchange_next(&x, &s->scope, line, deadline_us);                        // each line of the client after a CHALLENGE
 *   auth_exchange_deinit(&x);                                                    // wipes
 *
 * Each start and next completes once by op.done, never from inside, and then `result` says what to answer. A line "*" is the
 * caller's (501 5.0.0, cancelled; then deinit). Base64 is decoded and encoded here.
 *
 * Ownership: embedded in its owner; `server` and what `channel` points to outlive it; lines are read during the call only.
 * Threads:   the loop's.
 * Limits:    a line 12,288 octets (RFC 4954 section 4), AUTH_STEPS_MAX challenges.
 * Source:    RFC 4954, RFC 4422, RFC 4616 (PLAIN), RFC 5802 and RFC 7677 (SCRAM-SHA-256), RFC 4752 (GSSAPI), RFC 4013 (SASLprep),
 *            draft-murchison-sasl-login.
 * Tests:     tests/unit/auth/test_exchange.c, tests/fuzz/fuzz_auth_exchange.c
 */
#pragma once

#include "auth/auth_backend.h"
#include "base/buf.h"
#include "base/ip.h"
#include "io/op.h"

#define AUTH_MECH_MAP(X)                                                                                     \
	X(SCRAM_SHA_256_PLUS, "SCRAM-SHA-256-PLUS")                                                          \
	X(SCRAM_SHA_256, "SCRAM-SHA-256")                                                                    \
	X(GSSAPI, "GSSAPI")                                                                                  \
	X(EXTERNAL, "EXTERNAL")                                                                              \
	X(PLAIN, "PLAIN")                                                                                    \
	X(LOGIN, "LOGIN")

enum auth_mech { /* in the order they are announced */
#define X(name, text) AUTH_MECH_##name,
		 AUTH_MECH_MAP(X)
#undef X
			 AUTH_MECH_MAX_
};

const char *auth_mech_name(enum auth_mech mech);
int auth_mech_parse(struct span name, enum auth_mech *mech_r); /* any case; -ERR_NOTFOUND */

enum { AUTH_LINE_MAX = 12288, AUTH_STEPS_MAX = 8, AUTH_BACKENDS_MAX = 4 };

/* What a listener has to authenticate with: immutable, of the configuration snapshot. */
struct auth_server {
	struct auth_backend *backend[AUTH_BACKENDS_MAX];
	unsigned nbackends;
	struct auth_gssapi *gssapi; /* NULL: no GSSAPI; auth/auth_gssapi.h */
	uint32_t mechs;             /* bit per enum auth_mech: allowed by the configuration */
	uint32_t clear_mechs;       /* of them, without TLS (for named networks; the caller looks at those) */
	struct span realm;          /* of identities whose backend gives none; may be empty */
};

/* What the connection says about itself. */
struct auth_channel {
	bool tls;
	struct ip_addr client;
	/* As tls_channel_binding(): octets, or -ERR_UNSUPPORTED. NULL: none. */
	int (*binding)(void *arg, struct span type, uint8_t *out, size_t max);
	void *arg;
	struct span external; /* who a verified client certificate is; empty: nobody, no EXTERNAL */
	/* Asked once the account is known, before any backend; false: AUTH_TEMPORARY, nobody is asked. NULL: anybody may. */
	bool (*may_try)(void *arg, struct span account);
};

/* Which mechanisms a client is offered: those of @server that can work on @channel, bit per enum auth_mech. */
uint32_t auth_offered(const struct auth_server *server, const struct auth_channel *channel);

enum auth_result {
	AUTH_CHALLENGE, /* 334 x->challenge, which is base64 already */
	AUTH_DONE, /* x->identity; 235. SCRAM's last message went as a challenge that the client answered with an empty line */
	AUTH_REFUSED,   /* 535 5.7.8; x->answer and x->why for the log */
	AUTH_TEMPORARY, /* 454 4.7.0 */
	AUTH_MALFORMED, /* 501 5.5.2: not base64, or not the mechanism's syntax */
	AUTH_TOO_LONG,  /* 500 5.5.6 (RFC 4954 section 4) */
	AUTH_NO_MECH,   /* 504 5.5.4 */
	AUTH_TOO_WEAK,  /* 538 5.7.11: needs TLS */
};

struct auth_exchange {
	struct op op;
	enum auth_result result;
	enum auth_mech mech;
	struct span challenge;         /* until the next call */
	struct auth_identity identity; /* DONE */
	struct span tried;             /* user name that was tried, for the log; printable; may be empty */
	/* Whom it counts against: the same for all spellings of a name (RFC 4013, aliases); may be empty. */
	struct span account;
	uint8_t secret_id
		[16]; /* keyed hash (key of this process) of user and secret: tries that differ can be counted */
	bool has_secret_id;
	enum auth_answer answer; /* REFUSED: which kind */
	const char *backend;     /* who decided; NULL: nobody */
	char why[AUTH_WHY_MAX];  /* for the log */
	/* private */
	const struct auth_server *server;
	const struct auth_channel *channel;
	struct auth_state *state_;
};

void auth_exchange_init(struct auth_exchange *x, const struct auth_server *server,
			const struct auth_channel *channel, void (*done)(struct op *op));
int auth_exchange_start(struct auth_exchange *x, struct scope *scope, struct span mechanism,
			struct span initial, int64_t deadline_us);
int auth_exchange_next(struct auth_exchange *x, struct scope *scope, struct span line, int64_t deadline_us);
void auth_exchange_deinit(struct auth_exchange *x); /* not while pending */
