/* auth/auth_client_priv.h - between auth_client.c, which runs an exchange, and the mechanisms, which know what is said in one.
 *
 * A mechanism's begin() and challenge() put the response into st->out and return AUTH_CLIENT_SAID, or AUTH_CLIENT_BEGUN without any
 * (AUTH goes without an initial response then), or call auth_client_fail(), or start something and return AUTH_CLIENT_WAITS; then
 * auth_client_go_on() is called once, with one of the others. Only auth_client*.c and auth_credential.c include it.
 */
#pragma once

#include <pthread.h>

#include "auth/auth_client.h"
#include "auth/auth_gss_client.h"
#include "auth/auth_scram.h"
#include "base/arena.h"
#include "base/secret_source.h"

enum auth_client_said { AUTH_CLIENT_SAID, AUTH_CLIENT_BEGUN, AUTH_CLIENT_FAIL, AUTH_CLIENT_WAITS };

struct auth_client_state;

struct auth_client_how {
	enum auth_client_said (*begin)(struct auth_client_state *st);
	enum auth_client_said (*challenge)(struct auth_client_state *st, struct span in);
	/* The server said 235; NULL: that is all there is to know. False: it did not prove itself; st->x->why. */
	bool (*proven)(struct auth_client_state *st);
	/* While it waits: true: nothing comes any more; false: auth_client_go_on() comes soon. NULL: it never waits. */
	bool (*leave)(struct auth_client_state *st);
	void (*deinit)(struct auth_client_state *st); /* NULL: nothing to let go */
};

extern const struct auth_client_how auth_client_plain, auth_client_login, auth_client_scram,
	auth_client_bearer, auth_client_gssapi;

struct auth_client_state {
	struct auth_client *x;
	const struct auth_client_how *how;
	enum auth_client_mech mech;
	struct loop *loop;
	char host[256];  /* channel.host, which may go while something is waited for */
	struct buf in;   /* the challenge, base64 undone */
	struct buf out;  /* the response; a secret */
	struct buf text; /* it in base64: x->response */
	bool withheld;   /* text is for the first challenge */
	bool waits;
	unsigned challenges;
	struct secret password;
	const char *waiting_for; /* for words */
	char refusal[160];       /* what a challenge said about a token */

	struct auth_token_wait token;
	struct auth_asker *asker;

	struct auth_scram scram;
	uint8_t binding[AUTH_SCRAM_BINDING_MAX];
	size_t nbinding;
	struct buf salt;
	uint32_t iterations;
	enum { AUTH_CLIENT_SCRAM_FIRST, AUTH_CLIENT_SCRAM_FINAL, AUTH_CLIENT_SCRAM_PROVEN } scram_at;

	struct auth_gss_client *gss;
	bool gss_done;
};

enum { AUTH_CLIENT_OUT_MAX = 64 * 1024 };

/* Sets why; @permanent: only the operator can mend it. */
enum auth_client_said auth_client_fail(struct auth_client_state *st, bool permanent, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void auth_client_go_on(struct auth_client_state *st, enum auth_client_said said);

/* Which binding the channel has for SCRAM-PLUS, into st->binding; empty: none. */
struct span auth_client_binding(const struct auth_client_channel *channel, uint8_t *out, size_t max,
				size_t *n_r);

/* ---- the inside of a credential ---- */

struct auth_credential {
	_Atomic unsigned refs;
	struct arena *mem;
	struct auth_credential_config cfg; /* spans in mem */
	struct auth_services *services;
	struct auth_token *token; /* NULL: none */

	pthread_mutex_t lock;
	/* under it */
	struct secret_source password;
	/* The last SaltedPassword, for the salt of a server is the same each time (RFC 5802 section 5.1 allows it). */
	uint8_t salted[AUTH_SCRAM_KEY], salt[AUTH_SCRAM_SALT_MAX];
	size_t nsalt; /* 0: none */
	uint32_t iterations;
};

/* A copy. */
void auth_credential_password(struct auth_credential *c, struct secret *password_r);
bool auth_credential_has_password(const struct auth_credential *c);
/* What it can do, bit per enum auth_client_mech: by what it has, and what the configuration allows. */
uint32_t auth_credential_mechs(const struct auth_credential *c);
bool auth_credential_salted(struct auth_credential *c, struct span salt, uint32_t iterations,
			    uint8_t salted_r[AUTH_SCRAM_KEY]);
/* @password: the one it was made of, which may have been replaced meanwhile. */
void auth_credential_keep_salted(struct auth_credential *c, const struct secret *password, struct span salt,
				 uint32_t iterations, const uint8_t salted[AUTH_SCRAM_KEY]);
