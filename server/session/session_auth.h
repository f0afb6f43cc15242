/* session/session_auth.h - one AUTH while it is under way; only session/ includes it.
 *
 * Ownership: of its session's heap, from AUTH to its last reply.  Threads: the loop's.
 * Tests: tests/unit/session/test_auth.c
 */
#pragma once

#include "session/session_priv.h"

struct session_auth {
	struct session *session;
	struct auth_channel channel;
	struct auth_exchange x;
	struct session_refusal refusal; /* said when the pause is over */
	struct verdict verdict;         /* the policy's, if it is that */
	struct timer pause;
	char offered[24]; /* the mechanism's name, if it can be one */
	bool pausing, refused, banned;
};

/* ---- session_auth_report.c: what is written down about it, and who is banned ---- */

/* @reason: schema/log_events.lua has the list; @why: for the log only; may be NULL. */
void session_auth_failed(struct session *s, const char *reason, unsigned code, const char *why);
void session_auth_succeeded(struct session *s);
/* Name or secret was wrong: one more towards a ban. */
void session_auth_count(struct session *s);
