/* control/control_priv.h - requests, answers, and questions to workers; only control/ includes it. */
#pragma once

#include "base/buf.h"
#include "base/json.h"
#include "control/control.h"

enum {
	CONTROL_BODY_MAX = 128 * 1024 * 1024,   /* of a request: an import */
	CONTROL_ANSWER_MAX = 128 * 1024 * 1024, /* an export */
	CONTROL_ROWS_MAX = 10000,               /* of one listing; more come with skip= */
	CONTROL_SKIP_MAX = 1000000,
	CONTROL_IDS_MAX = 1000, /* in one request */
	CONTROL_REASON_MAX = 400,
	CONTROL_ACTOR_MAX = 64,
};

struct MHD_Connection;

struct control_request {
	struct control *control;
	const struct control_env *env;
	struct MHD_Connection *connection;
	struct span method, path;
	uint64_t id; /* of a path with {id} */
	struct buf body;
	char actor[CONTROL_ACTOR_MAX];
	struct arena *mem;
	bool shutdown; /* once it has been answered */
	/* the answer */
	unsigned code;    /* HTTP; 0: 200 */
	const char *type; /* NULL: application/json */
	struct buf out;
};

/* A query parameter, or {NULL, 0}. */
struct span control_arg(const struct control_request *r, const char *name);
/* The name of the first query parameter that is not among @known (" a b "), or NULL. */
const char *control_arg_unknown(const struct control_request *r, const char *known);
bool control_flag(const struct control_request *r, const char *name);
/* Answers with an error as JSON: what was wrong and what to do next. */
void control_fail(struct control_request *r, unsigned code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- control_ask.c ---- */

/* A question to one worker. Embedded first in the asker's struct, which must be one heap block: when the deadline passes first, the
 * worker frees it. */
struct ask {
	struct letter letter;
	struct control_worker *worker;
	void (*run)(struct ask *a); /* on the worker's loop; then or later it calls ask_answer() once */
	void (*dispose)(
		struct ask
			*a); /* frees what is embedded, on whatever thread; the block itself is freed after */
	struct ask_round *round;
	struct buf out; /* the asker's to use: JSON, octets */
	int status;
};

/* Sends one question to each of @n workers and waits. 0: all answered; -ERR_TIMEOUT, -ERR_CLOSED: not all did. Answers that came
 * are in asks[i]; those that did not are NULL. */
int ask_all(struct ask **asks, size_t n);
int ask_all_within(struct ask **asks, size_t n, int64_t deadline_us);
void ask_answer(struct ask *a, int status);
void ask_free(struct ask **a);

/* ---- control_queue*.c ---- */
void control_queue_list(struct control_request *r);
void control_queue_show(struct control_request *r);   /* r->id */
void control_queue_export(struct control_request *r); /* r->id */
void control_queue_import(struct control_request *r);
void control_queue_retry(struct control_request *r);
void control_queue_hold(struct control_request *r);
void control_queue_release(struct control_request *r);
void control_queue_bounce(struct control_request *r);
void control_queue_remove(struct control_request *r);

/* ---- control_bans.c ---- */
void control_bans_list(struct control_request *r);
void control_bans_remove(struct control_request *r);

/* ---- control_tls_report.c ---- */
void control_tls_report(struct control_request *r);

/* ---- control_info.c ---- */
void control_status(struct control_request *r);
void control_sessions(struct control_request *r);
void control_destinations(struct control_request *r);
void control_metrics(struct control_request *r);
void control_live(struct control_request *r);
void control_ready(struct control_request *r);

/* ---- control_route.c ---- */

/* One endpoint, as schema/admin_api.lua has it. */
struct control_endpoint {
	const char *method, *path; /* "{id}" stands for one segment: a queue id */
	const char *
		params; /* query parameters that it knows, between spaces: " to from "; another one is refused */
	void (*serve)(struct control_request *r);
};

const struct control_endpoint *control_endpoints(size_t *n_r);
void control_route(struct control_request *r);
