/* main/upstream_check.h - `postern upstream check`: can a route's hosts be reached, do they prove who they are, do they take our
 * login? Each step with what it found, and for the one that fails what to do.
 *
 *   1. the configuration is loaded as `serve` does it: the secrets of the route are read
 *   2. each host of the route, or the first MX host of a domain, is probed (delivery/probe.h)
 *   3. what was found is written down
 *
 * Threads: one, the caller's.
 * Errors:  -ERR_INVAL, -ERR_NOTFOUND and others when it could not be begun; whatever a host says is a success.
 * Tests:   tests/interop/upstream_auth.py
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct upstream_request {
	struct span config; /* file */
	struct span route;  /* its name, or a domain that it is for */
	struct span to;     /* a domain, or a mailbox for MAIL and RCPT; may be empty */
	struct span from;   /* a mailbox: whose login, and of MAIL; may be empty */
};

/* Writes one JSON object:
 *
 *   problems   of the configuration; if it is refused there are no hosts
 *   route      its name
 *   login      the user's name, or null
 *   hosts      a list of { host, good, steps: [ { step, outcome, code, text, advice, us } ] }
 *   failed     the first step that failed: its name, or null
 *   good       nothing failed
 */
int upstream_check(const struct upstream_request *req, struct buf *out, struct errtext *why);
