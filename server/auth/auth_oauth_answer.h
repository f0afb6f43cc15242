/* auth/auth_oauth_answer.h - what a token endpoint says, and what a mail server says about a token, as values and in words.
 *
 * Threads: pure.  Ownership: an answer owns its secrets; auth_oauth_answer_deinit() wipes them.
 * Errors: -ERR_SYNTAX no JSON object, -ERR_TOOBIG.
 * Source: RFC 6749 sections 5.1 and 5.2, RFC 7628 section 3.2.2; the AADSTS numbers of Microsoft; Google's words.
 * Tests: tests/unit/auth/test_oauth_answer.c, tests/fuzz/fuzz_auth_oauth_answer.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "auth/auth_oauth.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/span.h"

enum {
	AUTH_OAUTH_ANSWER_MAX = 64 * 1024,
	AUTH_OAUTH_TOKEN_MAX = 16 * 1024,
	AUTH_OAUTH_LIFE_MAX_S = 10 * 365 * 86400
};

struct auth_oauth_answer {
	struct secret access, refresh; /* empty: none */
	int64_t expires_s;             /* -1: it does not say */
	bool bearer;                   /* token_type, in any case; or none given */
	char error[64];                /* "invalid_client"; empty: none */
	char description[240];         /* printable ASCII, cut */
	unsigned aadsts;               /* 7000215; 0: none */
};

int auth_oauth_answer_parse(struct span json, struct auth_oauth_answer *a_r);
void auth_oauth_answer_deinit(struct auth_oauth_answer *a);

/* Has the answer, with its HTTP status, a token that can be used: printable ASCII without spaces (RFC 6750 section 2.1)? */
bool auth_oauth_answer_is_good(const struct auth_oauth_answer *a, unsigned status);
/* Otherwise: what it means and what to do, into @why. True: only the operator can mend it. */
bool auth_oauth_answer_explain(const struct auth_oauth_answer *a, unsigned status,
			       enum auth_provider provider, char *why, size_t why_max);

/* The challenge of a server that refuses a token, base64 undone: {"status":"401","schemes":"bearer","scope":"..."} -> words. */
void auth_oauth_challenge_explain(struct span json, char *why, size_t why_max);

/* name=value of a form, encoded (WHATWG's application/x-www-form-urlencoded: RFC 6749 appendix B). */
bool auth_oauth_form_add(struct buf *out, const char *name, struct span value);
bool auth_oauth_form_value(struct buf *out, struct span value);
