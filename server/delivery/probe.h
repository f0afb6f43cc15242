/* delivery/probe.h - one connection to a host of a route for its own sake: each step is told, nothing is delivered.
 *
 *     DNS, CONNECT, GREETING, EHLO, STARTTLS, CERTIFICATE, EHLO again, TOKEN, AUTH, MAIL, RCPT
 *
 * It is what a link does (link.c), with the same dialogue, levels, names and credentials, but it does not go on to another host of
 * its own accord: an address that does not answer is told, and the next of the same host is tried.
 *
 * Ownership: probe_start()'s is its own until `done`, which comes last; what the configuration points to outlives it.
 * Threads:   the loop's.
 * Limits:    PROBE_STEP_US for each step.
 * Tests:     tests/interop/upstream_auth.py
 */
#pragma once

#include "delivery/delivery.h"

#define PROBE_STEP_US (30 * INT64_C(1000000))

#define PROBE_STEP_MAP(X)                                                                                    \
	X(DNS, "dns")                                                                                        \
	X(CONNECT, "connect")                                                                                \
	X(GREETING, "greeting")                                                                              \
	X(EHLO, "ehlo")                                                                                      \
	X(STARTTLS, "starttls")                                                                              \
	X(CERTIFICATE, "certificate")                                                                        \
	X(EHLO_AGAIN, "ehlo again")                                                                          \
	X(TOKEN, "token")                                                                                    \
	X(AUTH, "auth")                                                                                      \
	X(MAIL, "mail")                                                                                      \
	X(RCPT, "rcpt")

enum probe_step {
#define X(name, text) PROBE_##name,
	PROBE_STEP_MAP(X)
#undef X
		PROBE_STEP_MAX_
};

const char *probe_step_name(enum probe_step step);

#define PROBE_OUTCOME_MAP(X)                                                                                 \
	X(OK, "ok")                                                                                          \
	X(NOTE, "note") /* not as one might wish, but the route permits it */                                \
	X(FAILED, "failed")

enum probe_outcome {
#define X(name, text) PROBE_##name,
	PROBE_OUTCOME_MAP(X)
#undef X
};

const char *probe_outcome_name(enum probe_outcome outcome);

struct probe_event {
	enum probe_step step;
	enum probe_outcome outcome;
	unsigned code;    /* of the server's reply; 0: it is not about one */
	struct span text; /* during the call; no secrets */
	int64_t took_us;  /* since the one before */
};

struct probe_config {
	const struct route *route;
	uint32_t host;      /* which of the route's, when it has some */
	struct span domain; /* whose MX hosts, when it has none; also a name for certificates */
	struct auth_credential *credential; /* NULL: no login */
	struct span from, to;               /* mailboxes; @to empty: no MAIL and RCPT */
	struct span hostname;               /* ours */
	const struct mx_self *self;
	void (*said)(void *arg, const struct probe_event *e);
	void (*done)(void *arg, bool good);
	void *arg;
};

struct probe;

struct probe *probe_start(const struct probe_config *cfg, struct loop *loop, struct dns *dns);
