/* auth/auth_priv.h - between auth_exchange.c, which runs an AUTH command, and the mechanisms, which know what is said in one.
 *
 * A mechanism's step gets what the client said, base64 undone, and either says what comes of it (auth_say(),
 * auth_challenge(), which return AUTH_SAID) or starts something and returns AUTH_WAITS; then auth_step_end() is called once,
 * with what is said then. While it waits, `cancel` may ask it to hurry; it still ends by auth_step_end().
 *
 * Tests: tests/unit/auth/test_exchange.c
 */
#pragma once

#include "auth/auth_exchange.h"
#include "auth/auth_gssapi.h"
#include "auth/auth_scram.h"
#include "base/secret.h"

enum auth_step { AUTH_SAID, AUTH_WAITS };

struct auth_mechanism {
	enum auth_step (*step)(struct auth_exchange *x, struct span in);
	bool server_first; /* it has something to say before the client has; then the first `in` is what came with AUTH, or empty */
	void (*begin)(struct auth_exchange *x);  /* NULL: nothing to set up */
	void (*cancel)(struct auth_exchange *x); /* NULL: it never waits */
	void (*deinit)(struct auth_exchange *x); /* NULL: nothing to let go */
};

extern const struct auth_mechanism auth_mechanism_plain, auth_mechanism_login, auth_mechanism_scram,
	auth_mechanism_external, auth_mechanism_gssapi;

/* Room for names as clients send them: 255 octets have to be taken (RFC 4616 section 2), more are no name of anybody. */
struct auth_name {
	char s[AUTH_USER_MAX];
	size_t n;
};

struct auth_login {
	bool asked_user, asked_password;
};

struct auth_scram_step {
	struct auth_scram scram;
	struct auth_verifier verifier;
	uint8_t binding[AUTH_SCRAM_BINDING_MAX];
	size_t nbinding;
	enum { AUTH_SCRAM_FIRST, AUTH_SCRAM_FINAL, AUTH_SCRAM_PROVEN } at;
};

struct auth_state {
	struct auth_exchange *owner;
	const struct auth_mechanism *how;
	struct scope *scope; /* of the step that runs */
	int64_t due_us;      /* when the step must have ended, on the loop's clock */
	bool waits;          /* auth_step_end() is to come */
	bool stopped;        /* canceled or out of time meanwhile: what comes does not count */
	bool opened;         /* the mechanism has been stepped once */
	unsigned steps;
	struct buf line; /* what the client said */
	struct buf challenge, challenge_text;
	struct auth_name typed, user, authzid; /* user: typed, or what that is an alias of */
	struct auth_name account;              /* user, prepared if it can be */
	char tried[AUTH_USER_MAX];
	/* auth_password.c */
	struct secret password;
	struct auth_check check;
	unsigned next_backend;
	/* of the mechanism */
	union {
		struct auth_login login;
		struct auth_scram_step scram;
		struct auth_gssapi_exchange gssapi;
	} m;
};

/* ---- auth_exchange.c ----------------------------------------------------------------------------------- */

enum auth_step auth_challenge(struct auth_exchange *x, struct span text);
/* Anything but AUTH_REFUSED, AUTH_DONE and AUTH_CHALLENGE. */
enum auth_step auth_say(struct auth_exchange *x, enum auth_result result, const char *why);
enum auth_step auth_refuse(struct auth_exchange *x, enum auth_answer answer, const char *why);
/* x->identity is who the client has proven to be; what it wants to act as must be the same (RFC 4954 section 4). */
enum auth_step auth_done(struct auth_exchange *x);
void auth_step_end(struct auth_exchange *x, enum auth_step said);

/* ---- auth_password.c: mechanisms that have the password in clear ----------------------------------------- */

/* Takes down who it wants to be. AUTH_SAID: it cannot be anybody and x->result says so; AUTH_WAITS: go on. */
enum auth_step auth_take_user(struct auth_exchange *x, struct span user);
enum auth_step auth_take_authzid(struct auth_exchange *x, struct span authzid);
/* Asks the backends, one after the other. Its end is the step's. */
enum auth_step auth_check_password(struct auth_exchange *x, struct span password);
void auth_check_cancel(struct auth_exchange *x);

/* RFC 4616's message: [authzid] NUL user NUL password. */
enum auth_step auth_plain_message(struct auth_exchange *x, struct span in);

/* A key of this process for @use: the same in all its threads, another in the next process, and told to nobody. */
int auth_process_key(const char *use, uint8_t key[32]);
