/* auth/auth_credential.h - who we are to an upstream server and how we prove it; auth/auth_client.h uses it.
 *
 * Ownership: counted; a configuration snapshot holds one per place that names it, an exchange one while it lasts.
 * Threads:   shared by all workers; what changes (a password whose file was replaced) is under its lock.
 * Errors:    -ERR_x with words for the operator, in which no secret is.
 * Tests:     tests/unit/auth/test_credential.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "auth/auth_oauth.h"
#include "auth/auth_services.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/span.h"

/* In the order of preference: what proves most and shows least comes first. */
#define AUTH_CLIENT_MECH_MAP(X)                                                                              \
	X(SCRAM_SHA_256_PLUS, "SCRAM-SHA-256-PLUS")                                                          \
	X(GSSAPI, "GSSAPI")                                                                                  \
	X(SCRAM_SHA_256, "SCRAM-SHA-256")                                                                    \
	X(OAUTHBEARER, "OAUTHBEARER")                                                                        \
	X(XOAUTH2, "XOAUTH2")                                                                                \
	X(PLAIN, "PLAIN")                                                                                    \
	X(LOGIN, "LOGIN")

enum auth_client_mech {
#define X(name, text) AUTH_CLIENT_MECH_##name,
	AUTH_CLIENT_MECH_MAP(X)
#undef X
		AUTH_CLIENT_MECH_MAX_
};

const char *auth_client_mech_name(enum auth_client_mech mech);
int auth_client_mech_parse(struct span name, enum auth_client_mech *mech_r); /* any case; -ERR_NOTFOUND */

struct auth_credential_config {
	struct span name;                             /* for people: "route example.org" */
	struct span user;                             /* who logs in; may be empty with GSSAPI */
	struct span authzid;                          /* as whom; empty: as `user` */
	struct span password_path, password_variable; /* one of them, or neither */
	struct auth_token *token;                     /* a reference is taken; NULL: none */
	bool gssapi;
	struct span keytab, ccache, principal, realm; /* of GSSAPI; see auth/auth_gss_client.h */
	uint32_t mechs;        /* bit per enum auth_client_mech: these only; 0: all that can work */
	bool allow_unverified; /* it may travel where the server is not known to be the right one */
};

struct auth_credential;

/* Reads the password. */
int auth_credential_new(const struct auth_credential_config *cfg, struct auth_services *services,
			struct auth_credential **c_r, struct errtext *e);
struct auth_credential *auth_credential_ref(struct auth_credential *c);
void auth_credential_unref(struct auth_credential **c); /* NULL is harmless */

/* 1: the password, or a secret of the token, changed; 0: nothing did; -ERR_x: cannot be read, what was there goes on. */
int auth_credential_refresh(struct auth_credential *c, struct errtext *e);
/* Before @c is used: a token source of @before that is the same is taken over, with its token and its rotated refresh token. */
void auth_credential_inherit(struct auth_credential *c, const struct auth_credential *before);

struct span auth_credential_name(const struct auth_credential *c);
struct span auth_credential_user(const struct auth_credential *c);         /* for the log; no secret */
struct auth_token *auth_credential_token(const struct auth_credential *c); /* NULL: none */
bool auth_credential_allows_unverified(const struct auth_credential *c);
/* The file of the password can be read by everybody. */
bool auth_credential_is_exposed(struct auth_credential *c);
