/* auth/auth_client.h - how we authenticate to an upstream server: credentials, and one AUTH exchange with them.
 *
 *   auth_client_init(&x, credential, &channel, on_step);
 *   auth_client_start(&x, &l->scope, offered, deadline_us);      // offered: the words of the EHLO line, "PLAIN LOGIN XOAUTH2"
 *   auth_client_next(&x, &l->scope, challenge, deadline_us);     // the text of each 334, base64 as it came
 *   auth_client_accepted(&x);                                    // 235: the last word, for SCRAM's server has to prove itself too
 *   auth_client_refused(&x, code, text);                         // 4xx, 5xx: a token that was refused is not used again
 *   auth_client_deinit(&x);                                      // wipes
 *
 * Each start and next completes once by op.done, never from inside. Getting a token or a ticket may take a while; tokens are
 * fetched ahead of time, once for all who wait (single flight), and shared by all workers. A response that is too long for the line
 * of AUTH (RFC 4954 section 4: 512 octets with it) is kept until the server's first challenge, which must be empty then.
 *
 * A credential travels on a verified channel only (channel.verified), unless it says allow_unverified; SCRAM and GSSAPI too, for
 * a stranger in the middle could use the session.
 *
 * Ownership: credentials are the configuration snapshot's (counted, for exchanges outlive a reload); an exchange is embedded.
 * Threads:   the loop's; credentials are shared.
 * Source:    RFC 4954, RFC 4616, RFC 5802, RFC 7677, RFC 4752, RFC 7628 (OAUTHBEARER), RFC 6749 (tokens), the XOAUTH2 of Google and
 *            Microsoft.
 * Tests:     tests/unit/auth/test_client.c, test_oauth.c
 */
#pragma once

#include "auth/auth_backend.h"
#include "auth/auth_credential.h"
#include "base/secret.h"
#include "io/op.h"

struct auth_client_channel {
	bool tls, verified;
	struct span
		host; /* of the server, for GSSAPI's smtp@host and OAUTHBEARER; read by auth_client_start() */
	uint16_t port;
	int (*binding)(void *arg, struct span type, uint8_t *out, size_t max); /* NULL: none */
	void *arg;
};

enum auth_client_result {
	AUTH_CLIENT_SEND, /* x->response: base64 already; has_response false: AUTH without an initial response */
	AUTH_CLIENT_FAILED, /* x->why; nothing more is to be sent ("*" if an exchange is open: x->abort) */
};

struct auth_client {
	struct op op;
	enum auth_client_result result;
	const char *mech; /* after start: "PLAIN" */
	struct span
		response; /* until the next call; a secret: not to be logged, wiped from what it is copied to */
	bool has_response;
	bool abort;
	bool permanent; /* FAILED: only the operator can mend it (no mechanism in common, channel not verified, ...) */
	char why[AUTH_WHY_MAX +
		 100]; /* for log and queue: the step that failed and what was said there, no secrets */
	/* private */
	struct auth_credential *credential;
	struct auth_client_channel channel;
	struct auth_client_state *state_;
};

void auth_client_init(struct auth_client *x, struct auth_credential *credential,
		      const struct auth_client_channel *channel, void (*done)(struct op *op));
int auth_client_start(struct auth_client *x, struct scope *scope, struct span offered, int64_t deadline_us);
int auth_client_next(struct auth_client *x, struct scope *scope, struct span challenge, int64_t deadline_us);
/* The server said 235. 0, or -ERR_DENIED: it did not prove that it knows the password (RFC 5802 section 3); x->why. */
int auth_client_accepted(struct auth_client *x);
void auth_client_refused(struct auth_client *x, int code, struct span text);
/* Do the server's @words hold our password? Then they are not for a log; x->why never does. */
bool auth_client_shows(const struct auth_client *x, struct span words);
void auth_client_deinit(struct auth_client *x);
