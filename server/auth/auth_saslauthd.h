/* auth/auth_saslauthd.h - passwords checked by saslauthd over its unix socket, for sites that need PAM or LDAP.
 *
 * What is in front of the last "@" goes as the login, what is behind it as the realm; a user without one gets the configured
 * realm, which may be empty. saslauthd says "NO" for an unknown user as for a wrong password (with most of its mechanisms): a
 * backend that is listed behind this one is then not asked.
 *
 * saslauthd answers as many at a time as it has processes (-n, 5); the others wait in its socket's queue. Who may open that
 * socket may try passwords: keep its directory closed.
 *
 * Ownership: as auth_backend.h has it; configuration is read during the call.
 * Threads:   as auth_backend.h has it; no thread of its own: the socket is the loop's.
 * Limits:    concurrent_max checks at a time over all workers, then -ERR_BUSY; timeout_us for each.
 * Errors:    no socket, no answer, an answer that means trouble: TEMPFAIL with the reason.
 * Tests:     tests/unit/auth/test_saslauthd.c, tests/fuzz/fuzz_auth_saslauthd.c
 */
#pragma once

#include "auth/auth_backend.h"
#include "base/err.h"

struct auth_saslauthd_config {
	struct span socket;      /* empty: /run/saslauthd/mux */
	struct span service;     /* empty: smtp; PAM's service */
	struct span realm;       /* of users that name none; may be empty */
	unsigned concurrent_max; /* 0: 64 */
	int64_t timeout_us;      /* 0: 5 s */
};

/* -ERR_INVAL: a path that is too long for a socket, a service or realm that is too long. saslauthd need not run yet. */
int auth_saslauthd_new(const struct auth_saslauthd_config *cfg, struct auth_backend **b_r, struct errtext *e);
