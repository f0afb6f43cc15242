/* main/simulate.h - `postern simulate`: a session against the policies of a configuration, with nothing sent and nothing kept.
 *
 *   1. the configuration is loaded as `serve` does it: resolver, policies, the listener
 *   2. a session of session/ is started on a stream in memory; a client of ours says EHLO, MAIL, RCPT, DATA, QUIT
 *   3. what was said by both and what the policies decided is written down
 *
 * The session, its texts and the policies are the server's own; limits are counted in a memory that begins empty, and messages go
 * to a store that forgets them. No port is bound, no socket opened but the resolver's. A handshake and a password are taken as done
 * and right where the listener lets the client come so far; nobody is asked.
 *
 * Threads: one, the caller's.
 * Errors:  -ERR_INVAL and others when it could not be begun; whatever the session comes to is a success.
 * Tests:   tests/unit/main/test_simulate.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/span.h"

enum { SIMULATE_TO_MAX = 1000, SIMULATE_MESSAGE_MAX = 30 * 1024 * 1024 };

struct simulate_request {
	struct span config;   /* file */
	struct span listener; /* empty: the first */
	struct ip_addr client;
	struct span
		ptr; /* the client's name, which is taken to lead back to it; empty: the resolver is asked */
	struct span helo;
	bool plain_helo;  /* HELO instead of EHLO */
	bool tls;         /* it says STARTTLS; where TLS comes first there is TLS anyhow */
	struct span auth; /* who it is, and is believed to be; empty: it does not say AUTH */
	bool offline;     /* no resolver is asked: names other than ptr do not exist */
	struct span from; /* empty: the null path */
	struct span to[SIMULATE_TO_MAX];
	size_t nto;
	struct span message; /* line ends are made CRLF; {NULL, 0}: a small one is made up */
};

/* Writes one JSON object:
 *
 *   problems    of the configuration; if it is refused there is nothing else but "accepted": false
 *   listener    its name
 *   dialogue    a list of { said (null: the greeting; "." the end of the message), code, enhanced, text (the lines as sent, without
 *               their codes), decisions: those that were made since the reply before }
 *   decisions   are { hook, policy, verdict, mode, broken, code, rule, text, us }
 *   recipients  a list of { address, accepted, code, enhanced, text }
 *   message     { outcome: "accepted", "held", "discarded", "refused" or "not sent", code, enhanced, text }
 *   queued      what the queue would have got: { from, device, meta, hold_reason, recipients: [ { address, route } ] }
 *   head        { sent, queued }: the header section before and after the policies
 *   log         the server's records
 *   accepted    all recipients and the message
 */
int simulate(const struct simulate_request *req, struct buf *out, struct errtext *why);
