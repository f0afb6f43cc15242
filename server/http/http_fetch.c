#include "http/http_fetch.h"

#include <stdio.h>

#include "base/check.h"

enum { LATER_US = 2000000 };

/* On the client's thread. */
static void on_transfer(struct http_transfer *t)
{
	struct http_fetch *f = container_of(t, struct http_fetch, transfer);

	require(loop_post(f->loop_, &f->letter_)); /* from here on the loop may free it */
}

static void on_letter(struct letter *letter)
{
	struct http_fetch *f = container_of(letter, struct http_fetch, letter_);

	op_complete(&f->op, f->transfer.status);
}

/* The letter comes soon. */
static void on_cancel(struct op *op)
{
	struct http_fetch *f = container_of(op, struct http_fetch, op);

	http_transfer_cancel(f->client_, &f->transfer);
}

void http_fetch_init(struct http_fetch *f, void (*done)(struct op *op))
{
	*f = (struct http_fetch){ .letter_ = { .open = on_letter } };
	op_init(&f->op, done);
	http_transfer_init(&f->transfer, on_transfer);
}

int http_fetch_start(struct http_fetch *f, struct scope *scope, struct http_client *client, const char *what,
		     int64_t deadline_us)
{
	int err = op_begin(&f->op, scope, what, deadline_us, on_cancel);

	if (err < 0)
		return err;
	f->loop_ = scope->loop;
	f->client_ = client;
	/* The op's own deadline comes first; this one is for a loop that does not turn. */
	f->transfer.request.deadline_us = deadline_us + LATER_US;
	err = http_transfer_start(client, &f->transfer);
	if (err < 0) {
		f->transfer.step = HTTP_STEP_REQUEST;
		snprintf(f->transfer.why, sizeof f->transfer.why, "too many requests wait already");
		op_complete(&f->op, err);
	}
	return 0;
}

void http_fetch_deinit(struct http_fetch *f)
{
	http_transfer_deinit(&f->transfer);
}
