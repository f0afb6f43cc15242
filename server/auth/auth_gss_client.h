/* auth/auth_gss_client.h - the client's side of the SASL mechanism GSSAPI (Kerberos V5): a token in, a token out.
 *
 *   err = auth_gss_client_new(&config, &c, &e);
 *   result = auth_gss_client_step(c, SPAN(""), &out, &e);          // the first: what goes with AUTH GSSAPI
 *   result = auth_gss_client_step(c, challenge, &out, &e);         // for each 334, base64 undone
 *
 * No security layer is taken (TLS is one already), and the server must prove itself.
 *
 * Ownership: the caller's, freed with auth_gss_client_free().
 * Threads:   one at a time, and never a loop's: a step may ask a KDC, which takes up to half a minute and cannot be interrupted.
 *            Run it as an auth_job (auth/auth_pool.h), which the asker may leave at its deadline.
 * Errors:    -ERR_DENIED the KDC or the server refuses us for good (no such principal, wrong key); -ERR_UNREACH, -ERR_IO and
 *            others may pass; -ERR_SYNTAX the server does not speak the mechanism. The text is for log and queue.
 * Source:    RFC 4752 section 3.1, RFC 4121.
 * Tests:     tests/kerberos/gssapi.py
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct auth_gss_client;

struct auth_gss_client_config {
	const char *host;      /* of the server: its ticket is for service/host */
	const char *service;   /* NULL: "smtp" */
	const char *realm;     /* of the server; NULL: as the KDC of our own realm says */
	const char *principal; /* who we are; NULL: the first of the keytab, or whose ccache it is */
	/* One of them; with a keytab, tickets are kept in memory, one set for all exchanges with the same keytab and principal. */
	const char *keytab;
	const char *ccache;
	const char *authzid; /* NULL or empty: the principal's own */
};

int auth_gss_client_new(const struct auth_gss_client_config *config, struct auth_gss_client **c_r,
			struct errtext *e);
void auth_gss_client_free(struct auth_gss_client **c);

/* 0: @out, which is emptied before, is to be sent (it may be empty) and a challenge follows; 1: likewise, and it is the
 * last. */
int auth_gss_client_step(struct auth_gss_client *c, struct span challenge, struct buf *out,
			 struct errtext *e);
