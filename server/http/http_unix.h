/* http/http_unix.h - one HTTP request over a unix socket, for the command line: asks, waits, gives the answer.
 *
 * Ownership: the request's spans are borrowed for the call; the answer's body is the caller's to free.
 * Threads:   blocks the calling one.
 * Errors:    -ERR_NOTFOUND, -ERR_REFUSED nobody answers there, -ERR_DENIED the socket is not for this user, -ERR_TIMEOUT,
 *            -ERR_TOOBIG the answer is over its maximum, -ERR_IO the rest; @e says what to do. Any HTTP status is a success.
 * Tests:     tests/unit/http/test_http_unix.c
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct http_unix_request {
	const char *socket; /* path */
	struct span method; /* "GET", "POST": upper case letters */
	struct span target; /* path and query, encoded: "/v1/queue?limit=10" */
	struct span body;   /* of a POST */
	struct span actor;  /* X-Postern-Actor; empty: none */
	int64_t timeout_us; /* for all of it */
	size_t answer_max;  /* octets */
};

struct http_unix_answer {
	unsigned status;
	struct buf body;
};

/* On success @answer_r's body must be freed with buf_free(). */
int http_unix(const struct http_unix_request *req, struct http_unix_answer *answer_r, struct errtext *e);

/* The version of libcurl that is linked: "8.5.0". Constant. */
const char *http_unix_library(void);
