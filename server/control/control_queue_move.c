/* control_queue_move.c - messages out of the queue and into it, as octets: queue/queue_export.h over HTTP.
 *
 * Export: every worker is asked; the one that has the message writes it into its answer. Import: one worker, drawn by what is
 * imported, takes the messages of the body one after the other; each is durable before the next begins.
 *
 * Ways it fails: an export is larger than an answer may be (507); an import breaks off in the middle (422, or what the spool says):
 * the messages before that are in the queue, and the answer names them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "control/control_priv.h"
#include "queue/queue_export.h"

#define EXPORT_DEADLINE_US (CONTROL_DEADLINE_US - INT64_C(3000000))

/* ---- export --------------------------------------------------------------------------------------------------- */

struct export_ask {
	struct ask ask;
	uint64_t id;
	struct queue_export export;
};

static int on_piece(struct queue_export *x, struct span piece)
{
	struct export_ask *e = container_of(x, struct export_ask, export);

	return buf_add_span(&e->ask.out, piece) ? 0 : -ERR_TOOBIG;
}

static void on_exported(struct op *op)
{
	ask_answer(&container_of(op, struct export_ask, export.op)->ask, op->status);
}

static void run_export(struct ask *a)
{
	struct export_ask *e = container_of(a, struct export_ask, ask);
	struct control_worker *w = a->worker;

	queue_export_init(&e->export, on_exported);
	e->export.out = on_piece;
	const int err =
		w->queue ? queue_export_start(&e->export, w->scope, w->queue, e->id, EXPORT_DEADLINE_US)
			 : -ERR_CLOSED;
	if (err < 0)
		ask_answer(a, err);
}

static void export_failed(struct control_request *r, int err)
{
	const struct id id = id_from_u64(r->id);

	if (err == -ERR_NOTFOUND)
		control_fail(r, 404, "no message %s is in the queue", id.s);
	else if (err == -ERR_BUSY)
		control_fail(r, 409, "%s is being delivered; hold it, then export it", id.s);
	else if (err == -ERR_TOOBIG)
		control_fail(r, 507, "%s is larger than an export may be, %d octets", id.s,
			     CONTROL_ANSWER_MAX);
	else
		control_fail(r, 503, "%s could not be exported: %s", id.s, err_text(err));
}

void control_queue_export(struct control_request *r)
{
	const unsigned n = r->env->nworkers;
	struct ask **asks = mem_alloc_array(n, sizeof *asks);
	int why = -ERR_NOTFOUND;

	for (unsigned i = 0; i < n; i++) {
		struct export_ask *e = mem_alloc(sizeof *e);
		e->ask.worker = r->env->workers[i];
		e->ask.run = run_export;
		e->id = r->id;
		buf_init(&e->ask.out, CONTROL_ANSWER_MAX);
		asks[i] = &e->ask;
	}
	const int err = ask_all(asks, n);
	if (err < 0)
		why = err;
	for (unsigned i = 0; i < n; i++) {
		if (asks[i] && asks[i]->status >= 0) {
			why = 0;
			const struct buf empty = r->out;
			r->out = asks[i]->out;
			asks[i]->out = empty;
			r->type = "application/octet-stream";
		} else if (asks[i] && asks[i]->status != -ERR_NOTFOUND && why < 0) {
			why = asks[i]->status;
		}
		ask_free(&asks[i]);
	}
	free(asks);
	if (why < 0)
		export_failed(r, why);
}

/* ---- import --------------------------------------------------------------------------------------------------- */

struct import_ask {
	struct ask ask;
	struct buf body;
	size_t at; /* of the body: taken */
	struct queue_import import;
	bool open; /* import is between init and deinit */
	unsigned imported;
};

static void import_on(struct import_ask *m);

static void import_end(struct import_ask *m, int status)
{
	if (m->open)
		queue_import_deinit(&m->import);
	m->open = false;
	ask_answer(&m->ask, status);
}

static void on_committed(struct op *op)
{
	struct import_ask *m = container_of(op, struct import_ask, import.op);

	if (op->status < 0) {
		import_end(m, op->status);
		return;
	}
	buf_addf(&m->ask.out, "%s\"%s\"", m->imported++ ? "," : "", id_from_u64(m->import.id).s);
	queue_import_deinit(&m->import);
	m->open = false;
	import_on(m);
}

static void on_room(void *arg)
{
	import_on(arg);
}

static void import_on(struct import_ask *m)
{
	struct control_worker *w = m->ask.worker;
	const struct span in = span_skip(buf_span(&m->body), m->at);
	bool ended = false;

	if (!m->open && !in.n) {
		import_end(m, 0);
		return;
	}
	if (!m->open && !w->queue) {
		import_end(m, -ERR_CLOSED);
		return;
	}
	if (!m->open)
		queue_import_init(&m->import, w->queue, on_committed);
	m->open = true;
	const int64_t n = queue_import_feed(&m->import, in, &ended);
	if (n < 0) {
		import_end(m, (int)n);
		return;
	}
	m->at += (size_t)n;
	if (ended) {
		const int err = queue_import_commit(&m->import, w->scope);
		if (err < 0)
			import_end(m, err);
	} else if (m->at < m->body.n) {
		queue_import_on_room(&m->import, on_room, m);
	} else {
		import_end(m, -ERR_SYNTAX); /* it ends in the middle of a message */
	}
}

static void run_import(struct ask *a)
{
	import_on(container_of(a, struct import_ask, ask));
}

static void dispose_import(struct ask *a)
{
	buf_free(&container_of(a, struct import_ask, ask)->body);
}

static unsigned code_of(int err)
{
	switch (err) {
	case -ERR_SYNTAX:
	case -ERR_CORRUPT:
		return 422;
	case -ERR_TOOBIG:
		return 413;
	case -ERR_NOSPACE:
		return 507;
	default:
		return 503;
	}
}

static void import_answer(struct control_request *r, const struct ask *a, int err)
{
	const struct span ids = a ? buf_span(&a->out) : (struct span){ NULL, 0 };
	struct json j = json_to(&r->out);

	json_object(&j, NULL);
	if (err < 0) {
		char text[160];
		snprintf(text, sizeof text, "not all of it was imported: %s",
			 err == -ERR_SYNTAX ? "it is no export, or was cut off" : err_text(err));
		r->code = code_of(err);
		json_cstr(&j, "error", text);
	}
	json_array(&j, "imported");
	if (ids.n)
		json_raw(&j, NULL, ids);
	json_array_end(&j);
	json_object_end(&j);
}

void control_queue_import(struct control_request *r)
{
	if (!r->body.n) {
		control_fail(r, 400, "the body is empty; it holds what export gave, one message or several");
		return;
	}
	struct import_ask *m = mem_alloc(sizeof *m);
	struct ask *ask = &m->ask;
	ask->worker = r->env->workers[hash_crc32c(0, r->body.p, r->body.n) % r->env->nworkers];
	ask->run = run_import;
	ask->dispose = dispose_import;
	buf_init(&ask->out, CONTROL_ANSWER_MAX);
	m->body = r->body; /* it may outlive the request */
	buf_init(&r->body, CONTROL_BODY_MAX);
	const int err = ask_all(&ask, 1);
	import_answer(r, ask, ask ? ask->status : err);
	ask_free(&ask);
}
