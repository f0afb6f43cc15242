/* http/http_client.h - HTTPS requests of the server: one thread with libcurl for all of them.
 *
 *   1. http_transfer_start() queues a transfer and wakes the thread, which is made for the first one     (any thread)
 *   2. libcurl resolves, connects, verifies, asks, reads                                                 (the client's)
 *   3. t->done(t) comes once, with the answer or with why there is none                                  (the client's)
 *
 * An operation of a loop takes http/http_fetch.h, which wraps this.
 *
 * The certificate is always verified; https alone is asked unless the request says otherwise; no redirect is followed unless
 * the request says so, and none with a body or an authorization; no proxy, cookie, .netrc or environment variable has a part in it.
 * Each transfer has a connection of its own: they are rare, and nothing of one is there in another. What libcurl frees is wiped.
 *
 * Ownership: the client is counted; a transfer is its starter's and what its request points to lives until done().
 * Threads:   start and cancel from any; done() on the client's own thread, where nothing may wait.
 * Limits:    HTTP_RUNNING_MAX at a time, HTTP_WAITING_MAX waiting, the request's body_max, HTTP_HEAD_MAX octets of header.
 * Errors:    in status: -ERR_UNREACH no such host or no way there, -ERR_REFUSED, -ERR_DENIED its certificate is not trusted,
 *            -ERR_TIMEOUT, -ERR_TOOBIG, -ERR_INVAL the request, -ERR_CANCELED, -ERR_IO all else; `step` is where, `why` the
 *            words for it, with no part of the request in them but the host. Any HTTP status is a success.
 * Source:    RFC 9110, RFC 9111 (how long an answer is fresh), RFC 9112.
 * Tests:     tests/unit/http/test_http_client.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/list.h"
#include "base/span.h"

enum {
	HTTP_RUNNING_MAX = 32,
	HTTP_WAITING_MAX = 512,
	HTTP_HEAD_MAX = 64 * 1024,
	HTTP_URL_MAX = 2000,
	HTTP_ADDRS_MAX = 16,
	HTTP_WHY_MAX = 200
};

#define HTTP_STEP_MAP(X)                                                                                     \
	X(REQUEST, "request") /* it cannot be asked like that */                                             \
	X(RESOLVE, "resolve")                                                                                \
	X(CONNECT, "connect")                                                                                \
	X(TLS, "tls")                                                                                        \
	X(ANSWER, "answer")

enum http_step {
#define X(name, text) HTTP_STEP_##name,
	HTTP_STEP_MAP(X)
#undef X
};

const char *http_step_name(enum http_step step);

struct http_request {
	struct span url;           /* https:// and a host; no user in it */
	struct span body;          /* of a POST; p NULL: it is a GET. A secret, perhaps: not copied */
	struct span content_type;  /* of the body */
	struct span authorization; /* value of that field; a secret; empty: none */
	struct span accept;        /* likewise; empty: anything */
	struct span ca_file;       /* PEM, instead of the system's; empty: those */
	struct span proxy;         /* URL; empty: none */
	const struct ip_addr
		*addrs; /* of the host, when they are known; naddrs 0: the system's resolver is asked */
	size_t naddrs;
	uint16_t connect_port;  /* that is connected to, whatever the URL says; 0: the URL's */
	unsigned redirects_max; /* of a GET without authorization */
	bool clear_ok;          /* http:// is allowed */
	size_t body_max;        /* octets of the answer */
	int64_t deadline_us;    /* for all of it; > 0 */
};

struct http_answer {
	unsigned status;        /* 200 */
	struct buf body;        /* wiped with the transfer */
	char content_type[128]; /* as sent; empty: none, or longer */
	int64_t fresh_s;        /* from Cache-Control and Age; 0: not to be kept; -1: it says nothing */
	int64_t retry_after_s;  /* -1: it says nothing */
};

struct http_transfer {
	struct http_request request;
	void (*done)(struct http_transfer *t);
	int status;
	struct http_answer answer; /* status 0 */
	enum http_step step;       /* status < 0: where it failed */
	char why[HTTP_WHY_MAX];    /* likewise */
	/* internal */
	struct list link_;
	struct http_handle *handle_;
	int64_t began_us_;
	bool cancel_;
};

struct http_client;

struct http_client *http_client_new(void); /* starts nothing yet */
struct http_client *http_client_ref(struct http_client *c);
/* The last one ends the thread and waits for that; nothing may be running then, and it may not be done() that does it. */
void http_client_unref(struct http_client **c);

/* Zeroed, with a request to fill in. */
void http_transfer_init(struct http_transfer *t, void (*done)(struct http_transfer *t));
/* -ERR_BUSY: HTTP_WAITING_MAX wait already; done() does not come then. */
int http_transfer_start(struct http_client *c, struct http_transfer *t);
/* done() comes soon, with -ERR_CANCELED unless it was over already. The caller sees to it that @t is still there. */
void http_transfer_cancel(struct http_client *c, struct http_transfer *t);
/* Not between start and done(). Wipes. */
void http_transfer_deinit(struct http_transfer *t);
