/* http/http_fetch.h - an HTTPS request as an operation of a loop; http/http_client.h has its rules.
 *
 *     http_fetch_init(&f, on_done);
 *     f.transfer.request = (struct http_request){ .url = SPAN("https://mta-sts.example.org/..."), .body_max = 65536 };
 *     http_fetch_start(&f, &x->scope, client, "http example.org", 30 s);
 *     on_done: op->status, f.transfer.answer or f.transfer.why; then http_fetch_deinit(&f)
 *
 * Ownership: embedded in its owner; what the request points to lives until op.done.
 * Threads:   the loop's.
 * Errors:    op.status as http_client.h has it, -ERR_TIMEOUT after the deadline; transfer.step and why in each case.
 * Tests:     tests/unit/http/test_http_client.c
 */
#pragma once

#include "base/mailbox.h"
#include "http/http_client.h"
#include "io/op.h"

struct http_fetch {
	struct op op;
	struct http_transfer transfer;
	/* internal */
	struct letter letter_;
	struct loop *loop_;
	struct http_client *client_;
};

void http_fetch_init(struct http_fetch *f, void (*done)(struct op *op));
/* 0, or -ERR_CANCELED: the scope is closing. With too many waiting done() comes with -ERR_BUSY. Sets request.deadline_us. */
int http_fetch_start(struct http_fetch *f, struct scope *scope, struct http_client *client, const char *what,
		     int64_t deadline_us);
void http_fetch_deinit(struct http_fetch *f); /* not while pending; wipes */
