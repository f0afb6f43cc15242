/* auth/auth_gssapi.h - the server's side of the SASL mechanism GSSAPI (Kerberos V5), straight on GSS-API.
 *
 *   auth_gssapi_exchange_init(&x, gssapi, channel, on_step);
 *   auth_gssapi_exchange_step(&x, &s->scope, token, deadline_us);  // base64 undone; the first may be empty
 *   auth_gssapi_exchange_deinit(&x);
 *
 * Each step completes once by x.work.op.done, never from inside, and then x.result says what to answer. No security layer is
 * offered: TLS is one already. A client that uses channel bindings must use those of this channel (tls-server-end-point).
 *
 * Ownership: an exchange is embedded in its owner; the auth_gssapi is the configuration snapshot's. A token is copied.
 * Threads:   the loop's; tokens are looked at on a pool of its own (decryption, and the replay cache is a file). An auth_gssapi is
 *            shared by all workers.
 * Errors:    what is our own fault (no key, clock) is TEMPORARY, never REFUSED.
 * Source:    RFC 4752 section 3.2, RFC 4121, RFC 5929 section 4.
 * Tests:     tests/kerberos/gssapi.py
 */
#pragma once

#include "auth/auth_backend.h"
#include "io/work.h"

struct auth_gssapi;
struct auth_channel; /* auth/auth_exchange.h */

enum { AUTH_GSSAPI_TOKEN_MAX = 12288, AUTH_GSSAPI_REALMS_MAX = 16 };

struct auth_gssapi_config {
	const char *keytab;  /* "/etc/postern/smtp.keytab" */
	const char *service; /* "smtp"; NULL: that */
	const char *
		principal; /* "smtp/relay.example.edu@EXAMPLE.EDU"; NULL: any of the service that the keytab has (RFC 4752) */
	const char *realm;        /* whose users need not name it in an authorization identity */
	const char *replay_cache; /* as libkrb5 names them ("none:"); NULL: the library's own choice */
	const char
		*allow; /* extended regular expression for the whole principal without its realm; NULL: all */
	/* Users of other realms that are let in by cross-realm trust; nobody by default. */
	const char *realms[AUTH_GSSAPI_REALMS_MAX];
	unsigned nrealms;
	unsigned threads; /* 0: AUTH_GSSAPI_THREADS */
};

enum { AUTH_GSSAPI_THREADS = 2, AUTH_GSSAPI_QUEUE_MAX = 1024 };

/* -ERR_INVAL or -ERR_NOTFOUND when there is no key to accept with: then the mechanism must not be offered (RFC 4752 section
 * 3.2). */
int auth_gssapi_new(const struct auth_gssapi_config *config, struct auth_gssapi **g_r, struct errtext *e);
void auth_gssapi_free(struct auth_gssapi **g); /* no exchange may be pending */
/* The keytab is read at each exchange; this looks whether it can be: 0, or -ERR_NOTFOUND with the library's words. */
int auth_gssapi_refresh(struct auth_gssapi *g, struct errtext *e);

#define AUTH_GSSAPI_RESULT_MAP(X)                                                                            \
	X(CHALLENGE, "challenge") /* x->challenge goes to the client, base64 yet to be done */               \
	X(DONE, "done")           /* x->identity */                                                          \
	X(REFUSED, "refused")     /* x->answer and x->why for the log */                                     \
	X(TEMPORARY, "temporary") /* ours is the fault */                                                    \
	X(MALFORMED, "malformed") /* not what the mechanism says */

enum auth_gssapi_result {
#define X(name, text) AUTH_GSSAPI_##name,
	AUTH_GSSAPI_RESULT_MAP(X)
#undef X
		AUTH_GSSAPI_RESULT_MAX_
};

struct auth_gssapi_exchange {
	struct work work; /* work.op is the operation of a step */
	enum auth_gssapi_result result;
	struct span challenge;         /* until the next step; may be empty */
	struct auth_identity identity; /* DONE */
	bool bound;                    /* DONE: the client proved that it speaks on this very TLS channel */
	enum auth_answer answer;       /* REFUSED, TEMPORARY */
	char why[AUTH_WHY_MAX];
	/* private */
	struct auth_gssapi *gssapi;
	struct auth_gssapi_state *state_;
};

void auth_gssapi_exchange_init(struct auth_gssapi_exchange *x, struct auth_gssapi *g,
			       const struct auth_channel *channel, void (*done)(struct op *op));
int auth_gssapi_exchange_step(struct auth_gssapi_exchange *x, struct scope *scope, struct span token,
			      int64_t deadline_us);
void auth_gssapi_exchange_deinit(struct auth_gssapi_exchange *x); /* not while pending */
