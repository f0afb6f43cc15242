/* auth/auth_backend.h - who can say whether a password is right: Kerberos, Postern's user file, sasldb, saslauthd.
 *
 * A backend is asked by mechanisms that have the password in clear (PLAIN, LOGIN); one that keeps SCRAM verifiers is asked for
 * them too. Backends of a listener are asked in the order of its `auth` list: the first that does not say UNKNOWN_HERE decides.
 *
 * Ownership: a backend is the configuration snapshot's; a check is embedded in its asker and the secret in it stays the asker's
 *            until op.done; what a backend copies it wipes.
 * Threads:   start on the loop, done on the loop; backends are shared by all workers and do their own locking; what blocks runs on
 *            the backend's own work_pool.
 * Errors:    a dead or slow dependency is AUTH_ANSWER_TEMPFAIL, never WRONG: devices give up for good on a 535.
 * Tests:     tests/unit/auth/test_exchange.c, and each backend's
 */
#pragma once

#include "base/ip.h"
#include "base/secret.h"
#include "base/span.h"
#include "io/op.h"

#define AUTH_ANSWER_MAP(X)                                                                                   \
	X(RIGHT, "right")                                                                                    \
	X(WRONG, "wrong")          /* known here (or it must look so), the password is not right */          \
	X(UNKNOWN_HERE, "unknown") /* not this backend's: the next one is asked */                           \
	X(EXPIRED, "expired")      /* right or not, its time is over: 535, said precisely in the log */      \
	X(LOCKED, "locked")        /* disabled, revoked, suspended: likewise */                              \
	X(TEMPFAIL, "tempfail")    /* nobody can say now: 454 */

enum auth_answer {
#define X(name, text) AUTH_ANSWER_##name,
	AUTH_ANSWER_MAP(X)
#undef X
		AUTH_ANSWER_MAX_
};

const char *auth_answer_name(enum auth_answer answer);

enum { AUTH_USER_MAX = 256, AUTH_REALM_MAX = 256, AUTH_WHY_MAX = 200 };

/* Who it is, once verified. */
struct auth_identity {
	char user[AUTH_USER_MAX +
		  AUTH_REALM_MAX];  /* canonical: "smtp-relay/scan.example.edu@EXAMPLE.EDU", "copier7" */
	char realm[AUTH_REALM_MAX]; /* "EXAMPLE.EDU", or empty */
};

struct auth_check {
	struct op op;     /* status 0: answer is set; < 0: canceled or out of time (counts as TEMPFAIL) */
	struct span user; /* as the client said it, valid UTF-8 without controls; lives until done */
	const struct secret *password;
	struct ip_addr client; /* for backends that keep count */
	bool last; /* nobody else is asked: an unknown user should cost what a wrong password costs */
	enum auth_answer answer;
	struct auth_identity identity; /* RIGHT */
	char why[AUTH_WHY_MAX]; /* for the log only, never for the client; without secrets: "KDC unreachable: ..." */
	void *impl;             /* the backend's, while pending */
};

/* A SCRAM-SHA-256 verifier (RFC 5802 section 3). */
enum { AUTH_SCRAM_KEY = 32, AUTH_SCRAM_SALT_MAX = 64 };

struct auth_verifier {
	uint8_t stored_key[AUTH_SCRAM_KEY], server_key[AUTH_SCRAM_KEY];
	uint8_t salt[AUTH_SCRAM_SALT_MAX];
	uint8_t nsalt;
	uint32_t iterations;
	struct auth_identity identity;
	enum auth_answer
		answer; /* RIGHT: usable; LOCKED, EXPIRED: whatever the client proves; UNKNOWN_HERE */
};

struct auth_backend;

struct auth_backend_ops {
	const char *name; /* as in a listener's `auth` list: "kerberos", "users", "sasldb", "saslauthd" */
	/* c->op is initialised by the asker; completes through op_begin/op_complete. 0 or -ERR_CANCELED, -ERR_BUSY. */
	int (*check)(struct auth_backend *b, struct auth_check *c, struct scope *scope);
	/* At once, from memory; @user is prepared (RFC 4013). With UNKNOWN_HERE, salt and iterations may be filled with what
	 * looks like those of a user and is always the same for one name. NULL: it keeps none. */
	void (*verifier)(struct auth_backend *b, struct span user, struct auth_verifier *v_r);
	/* At once: is @name (prepared) short for another? Then that is the name that all backends are asked for. NULL: it has
	 * no aliases. */
	bool (*alias)(struct auth_backend *b, struct span name, char to[AUTH_USER_MAX]);
	/* Look at the files again. 1: changed, 0: not, -ERR_x: as before. NULL: it has none. */
	int (*refresh)(struct auth_backend *b, struct errtext *e);
	void (*free)(struct auth_backend *b);
};

struct auth_backend { /* the head of each */
	const struct auth_backend_ops *ops;
};
