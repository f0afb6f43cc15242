/* auth/auth_saslauthd_wire.h - what is said to saslauthd and what it says: counted strings, a 16-bit length (most significant octet
 * first) in front of each.
 *
 *   we      login, password, service, realm
 *   it      "OK", or "NO" and perhaps a reason, which may hide that it could not find out: those are TEMPFAIL
 *
 * Pure.  Source: saslauthd(8) and the source of Cyrus SASL 2.1.28.
 * Tests: tests/unit/auth/test_saslauthd.c, tests/fuzz/fuzz_auth_saslauthd.c
 */
#pragma once

#include "auth/auth_backend.h"
#include "base/buf.h"

enum {
	SASLAUTHD_FIELD_MAX = 1023, /* of each: no saslauthd takes more, and some say NO over 256 */
	SASLAUTHD_REPLY_MAX = 1024,
	SASLAUTHD_REQUEST_MAX = 4 * (2 + SASLAUTHD_FIELD_MAX),
};

/* False: one of them is over SASLAUTHD_FIELD_MAX, or has a NUL, which ends a string there. */
bool saslauthd_request(struct buf *out, struct span login, struct span password, struct span service,
		       struct span realm);

/* Returns the octets of the reply; -ERR_AGAIN: more must come; -ERR_TOOBIG, -ERR_SYNTAX: that is not saslauthd. *answer_r is RIGHT,
 * WRONG, UNKNOWN_HERE, EXPIRED or TEMPFAIL; *text_r is the reason, in @in, maybe empty. */
int saslauthd_reply(struct span in, enum auth_answer *answer_r, struct span *text_r);
