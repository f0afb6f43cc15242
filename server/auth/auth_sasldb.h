/* auth/auth_sasldb.h - passwords of a sasldb file, as `saslpasswd2` makes it, through Cyrus SASL in this process.
 *
 * An account is user@realm. A user without a realm gets the configured one, which must be that which was given to `saslpasswd2
 * -u`. The file is opened for each check, so that a change counts at once. Cyrus stores the passwords in clear: this backend is
 * for moving away from it (auth_sasldb_each(), `postern user import-sasldb`), and auth_sasldb_warnings() says so.
 *
 * Of Cyrus's own files none is read. Where `saslpasswd2 -a NAME` or another program had one (NAME.conf) that says another
 * sasldb_path, auth_sasldb_warnings() tells.
 *
 * Ownership: as auth_backend.h has it; configuration is read during the call.
 * Threads:   checks run on the backend's own pool, with a bounded queue and a deadline. auth_global_init() must have been called.
 * Errors:    a file that is missing, unreadable or no sasldb is TEMPFAIL with the reason; no such account is UNKNOWN_HERE.
 * Tests:     tests/unit/auth/test_sasldb.c
 */
#pragma once

#include "auth/auth_backend.h"
#include "base/buf.h"
#include "base/err.h"

struct auth_sasldb_config {
	struct span path;      /* empty: /etc/sasldb2 */
	struct span realm;     /* of users that name none */
	struct span appname;   /* whose NAME.conf auth_sasldb_warnings() looks for; empty: nobody's */
	struct span conf_dirs; /* where, with ":" between; empty: where Cyrus and Postfix look */
	unsigned threads;      /* 0: 2 */
	unsigned queue_max;    /* 0: 200 */
	int64_t timeout_us;    /* 0: 5 s */
};

/* -ERR_INVAL: no realm, or a path or realm that is too long. The file need not be there yet. */
int auth_sasldb_new(const struct auth_sasldb_config *cfg, struct auth_backend **b_r, struct errtext *e);

/* What the operator should hear when it starts, a line each. */
void auth_sasldb_warnings(const struct auth_sasldb_config *cfg, struct buf *out);

/* For tools: every account of a file. */
struct auth_sasldb_user {
	struct span user, realm;
	const struct secret *password; /* NULL: the file has a hash of it only */
};

/* Calls @see for each until it returns non-zero, and returns that; 0 after the last. Asks `sasldblistusers2` (of the package that
 * saslpasswd2 is in) for the names. Blocks. auth_global_init() must have been called. */
int auth_sasldb_each(const char *path, int (*see)(void *arg, const struct auth_sasldb_user *u), void *arg,
		     struct errtext *e);
