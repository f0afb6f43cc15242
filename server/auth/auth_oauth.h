/* auth/auth_oauth.h - access tokens (RFC 6749) for XOAUTH2 and OAUTHBEARER: one source, shared by all workers.
 *
 *   1. an exchange asks by auth_token_get(); a token that is good is copied out at once
 *   2. if there is none, the endpoint is asked, once however many wait; all of them are told together
 *   3. when four fifths of a token's life are over (a little earlier or later, by chance) whoever asks starts the fetch of the
 *      next one and goes on with the old
 *
 * Grants: client credentials (section 4.4), or a refresh token (section 6). A provider that gives another refresh token with an
 * answer takes the old one back: the new one is kept in memory, and written into its file if `keep` says so.
 *
 * Failures: the same words for all who wait, with the step that failed and, for what providers are known to say, what to do. Then
 * the endpoint is left alone for a while: 5 s at first, twice as long each time, up to 10 minutes; with an error that only the
 * operator can mend, from a minute on; as long as the provider says (Retry-After), if that is longer. A changed secret ends the
 * wait. While the old token is good nobody notices but auth_token_status().
 *
 * Ownership: counted; what is waiting is embedded in its owner. The last reference waits for a fetch that runs, which it stops.
 * Threads:   any; `told` comes on the waiter's loop, later, never from inside.
 * Units:     now_us as loop_now_us().
 * Source:    RFC 6749.
 * Tests:     tests/unit/auth/test_oauth.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "auth/auth_services.h"
#include "base/mailbox.h"
#include "base/secret.h"
#include "base/span.h"
#include "io/loop.h"

enum { AUTH_TOKEN_WHY_MAX = 300 };

enum auth_provider { AUTH_PROVIDER_GENERIC, AUTH_PROVIDER_MICROSOFT, AUTH_PROVIDER_GOOGLE };

struct auth_token_config {
	enum auth_provider provider;  /* what its errors mean */
	struct span url;              /* of the token endpoint: https */
	struct span client_id, scope; /* the scope may be empty */
	struct span secret_path,
		secret_variable; /* the client's secret: one of them, or none of a public client */
	struct span refresh_path, refresh_variable; /* the refresh token; neither: client credentials */
	struct span ca_file, proxy;
	bool basic;          /* id and secret in an Authorization field instead of the body (section 2.3.1) */
	bool keep;           /* a rotated refresh token is written into its file */
	int64_t deadline_us; /* of a fetch; 0: 20 s */
};

struct auth_token;

/* Reads the secrets. @t_r keeps copies of what @cfg says. */
int auth_token_new(const struct auth_token_config *cfg, struct auth_services *services,
		   struct auth_token **t_r, struct errtext *e);
struct auth_token *auth_token_ref(struct auth_token *t);
void auth_token_unref(struct auth_token **t);
/* They would ask the same for the same, with the same secrets' places: after a reload the old one is used on, with what it has. */
bool auth_token_same(const struct auth_token *a, const struct auth_token *b);
/* 1: a secret changed; the next one who asks gets a token by it. 0: not. -ERR_x: it cannot be read, the old one goes on. */
int auth_token_refresh(struct auth_token *t, struct errtext *e);

/* Everybody may read the file of the client's secret, of the refresh token. */
bool auth_token_exposes_secret(struct auth_token *t);
bool auth_token_exposes_refresh(struct auth_token *t);

struct auth_token_wait {
	/* Set when there is an answer. */
	int status;          /* 0, or -ERR_x */
	struct secret token; /* status 0; the owner wipes it */
	uint64_t generation; /* of the token, for auth_token_refused() */
	bool permanent;      /* only the operator can mend it */
	char why[AUTH_TOKEN_WHY_MAX];
	void (*told)(struct auth_token_wait *w);
	/* internal */
	struct letter letter_;
	struct list link_;
	struct loop *loop_;
	bool sent_;
};

void auth_token_wait_init(struct auth_token_wait *w, void (*told)(struct auth_token_wait *w));
void auth_token_wait_deinit(struct auth_token_wait *w); /* not while it waits; wipes */
/* 1: the answer is there; 0: told() comes. */
int auth_token_get(struct auth_token *t, struct loop *loop, struct auth_token_wait *w);
/* true: told() does not come any more. false: it is on its way. */
bool auth_token_leave(struct auth_token *t, struct auth_token_wait *w);
/* A server refused the token of that generation: it is not given out again. */
void auth_token_refused(struct auth_token *t, uint64_t generation, struct loop *loop);

struct auth_token_status {
	bool has_token, fetching;
	int64_t expires_in_us, retry_in_us; /* 0: now; of what there is */
	unsigned failures;                  /* in a row */
	char why[AUTH_TOKEN_WHY_MAX]; /* of the last one; or that a new refresh token could not be written */
};

void auth_token_status(struct auth_token *t, int64_t now_us, struct auth_token_status *s_r);
