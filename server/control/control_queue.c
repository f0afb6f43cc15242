/* control_queue.c - listing the queue, one message of it, and orders about messages by selectors.
 *
 *   1. the request's parameters become a struct queue_action for each worker, with texts of its own: it may outlive the request
 *   2. each worker walks over its queue in slices; rows are written as it sees them, one JSON object a line
 *   3. the answers are put together in the order of the workers
 *
 * Ways it fails: a parameter that cannot be read (400), an order without a selector or a reason (400), a walk that takes longer
 * than its deadline (the answer says "complete": false; orders that were carried out until then stay carried out, and it is a 504).
 */
#include <stdlib.h>

#include "base/mem.h"
#include "control/control_queue_row.h"

enum { ASK_MEM_MAX = 256 * 1024, ROWS_DEFAULT = 100 };

/* So that a walk that is too slow ends, and says how far it came, before the asker gives up on the worker. */
#define WALK_DEADLINE_US (CONTROL_DEADLINE_US - INT64_C(3000000))

struct queue_ask {
	struct ask ask;
	struct arena *mem; /* of the selector's texts */
	struct queue_action action;
	/* of one message */
	struct json json;
	struct spool_load load;
	struct control_row_kept kept;
};

static void dispose(struct ask *a)
{
	arena_free(&container_of(a, struct queue_ask, ask)->mem);
}

/* ---- selectors ------------------------------------------------------------------------------------------------ */

static bool read_ids(struct control_request *r, struct span text, struct queue_select *s)
{
	uint64_t *ids = arena_array(r->mem, uint64_t, CONTROL_IDS_MAX);

	while (text.p) {
		const struct span one = span_trim(span_cut(&text, ','));
		if (s->nids == CONTROL_IDS_MAX) {
			control_fail(r, 400, "id: at most %d ids in one request", CONTROL_IDS_MAX);
			return false;
		}
		if (!id_parse(one, &ids[s->nids++])) {
			control_fail(r, 400, "id: \"%.*s\" is no queue id", SPAN_ARG(span_first(one, 60)));
			return false;
		}
	}
	s->ids = ids;
	return true;
}

static bool read_states(struct control_request *r, struct span text, struct queue_select *s)
{
	while (text.p) {
		const struct span one = span_trim(span_cut(&text, ','));
		unsigned bit = 0;
		for (unsigned i = 0; i < QUEUE_STATE_MAX_; i++)
			if (span_eq(one, span_of(queue_state_name((enum queue_state)i))))
				bit = 1u << i;
		if (!bit) {
			control_fail(r, 400,
				     "status: \"%.*s\" is none of ready, active, deferred, held, ending",
				     SPAN_ARG(span_first(one, 60)));
			return false;
		}
		s->status |= bit;
	}
	return true;
}

/* False: it has answered. *any_r: something was selected. */
static bool read_select(struct control_request *r, struct queue_select *s, bool *any_r)
{
	static const struct {
		const char *name;
		size_t at;
	} texts[] = {
		{ "to", offsetof(struct queue_select, to) },
		{ "from", offsetof(struct queue_select, from) },
		{ "device", offsetof(struct queue_select, device) },
		{ "domain", offsetof(struct queue_select, domain) },
		{ "destination", offsetof(struct queue_select, destination) },
		{ "held_reason", offsetof(struct queue_select, held_reason) },
	};
	bool any = false;

	*s = (struct queue_select){ 0 };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		const struct span v = control_arg(r, texts[i].name);
		if (v.p && !v.n) {
			control_fail(r, 400, "%s: it is empty; leave it out to select all", texts[i].name);
			return false;
		}
		memcpy((char *)s + texts[i].at, &v, sizeof v);
		any |= v.n > 0;
	}
	const struct span older = control_arg(r, "older_than"), ids = control_arg(r, "id"),
			  states = control_arg(r, "status");
	uint64_t seconds = 0;
	if (older.p && !span_to_u64(older, 1000000000, &seconds)) {
		control_fail(r, 400, "older_than: a number of seconds");
		return false;
	}
	s->older_than_us = (int64_t)seconds * 1000000;
	*any_r = any || seconds || ids.p || states.p;
	return (!ids.p || read_ids(r, ids, s)) && (!states.p || read_states(r, states, s));
}

/* A copy whose texts live in @mem. */
static struct queue_select copy_select(const struct queue_select *s, struct arena *mem)
{
	struct queue_select c = *s;

	if (s->ids)
		c.ids = (const uint64_t *)(const void *)arena_dup(mem,
								  span_make(s->ids, s->nids * sizeof *s->ids))
				.p;
	c.to = arena_dup(mem, s->to);
	c.from = arena_dup(mem, s->from);
	c.device = arena_dup(mem, s->device);
	c.domain = arena_dup(mem, s->domain);
	c.destination = arena_dup(mem, s->destination);
	c.held_reason = arena_dup(mem, s->held_reason);
	return c;
}

/* ---- asking --------------------------------------------------------------------------------------------------- */

static void on_action(struct op *op)
{
	struct queue_ask *q = container_of(op, struct queue_ask, action.op);

	ask_answer(&q->ask, op->status);
}

static void run_action(struct ask *a)
{
	struct queue_ask *q = container_of(a, struct queue_ask, ask);
	struct control_worker *w = a->worker;
	const int err =
		w->queue ? queue_action_start(&q->action, w->scope, w->queue, WALK_DEADLINE_US) : -ERR_CLOSED;

	if (err < 0)
		ask_answer(a, err);
}

static struct queue_ask *queue_ask_new(const struct control_request *r, unsigned worker,
				       const struct queue_select *s)
{
	struct queue_ask *q = mem_alloc(sizeof *q);

	q->mem = arena_new(ASK_MEM_MAX);
	q->ask.worker = r->env->workers[worker];
	q->ask.run = run_action;
	q->ask.dispose = dispose;
	buf_init(&q->ask.out, CONTROL_ANSWER_MAX / 2);
	queue_action_init(&q->action, on_action);
	q->action.select = copy_select(s, q->mem);
	q->action.reason = arena_dup(q->mem, control_arg(r, "reason"));
	q->action.actor = arena_dup(q->mem, span_of(r->actor));
	return q;
}

/* ---- list ----------------------------------------------------------------------------------------------------- */

static void on_row(struct queue_action *a, const struct queue_row *row)
{
	struct queue_ask *q = container_of(a, struct queue_ask, action);
	struct json j = json_to(&q->ask.out);

	json_object(&j, NULL);
	control_row_write(&j, row);
	json_object_end(&j);
	buf_add_char(&q->ask.out, '\n');
}

/* All at once when the first rows are wanted. Else one after the other: how many one worker has says what the next is to skip. */
static int ask_for_rows(struct queue_ask **q, struct ask **asks, unsigned n, uint64_t skip, uint64_t limit)
{
	int err = 0;

	for (unsigned i = 0; i < n; i++)
		q[i]->action.max = limit;
	if (skip == 0)
		return ask_all(asks, n);
	for (unsigned i = 0; i < n && limit > 0; i++) {
		q[i]->action.skip = skip;
		q[i]->action.max = limit;
		const int e = ask_all(&asks[i], 1);
		err = e < 0 ? e : err;
		if (!asks[i])
			continue;
		const uint64_t matched = q[i]->action.messages;
		limit -= matched > skip ? matched - skip : 0;
		skip -= matched < skip ? matched : skip;
	}
	return err;
}

static void write_rows(struct control_request *r, struct ask *const *asks, unsigned n, uint64_t limit,
		       bool complete)
{
	struct json j = json_to(&r->out);
	uint64_t rows = 0, unreadable = 0;
	bool more = false;

	json_object(&j, NULL);
	json_array(&j, "messages");
	for (unsigned i = 0; i < n; i++) {
		if (!asks[i]) {
			complete = false;
			continue;
		}
		const struct queue_action *a = &container_of(asks[i], struct queue_ask, ask)->action;
		struct span left = buf_span(&asks[i]->out);
		complete = complete && asks[i]->status >= 0 && !asks[i]->out.overflow;
		unreadable += a->unreadable;
		while (left.n && rows < limit) {
			json_raw(&j, NULL, span_cut(&left, '\n'));
			rows++;
		}
		more = more || left.n || (a->max && a->messages >= a->skip + a->max);
	}
	json_array_end(&j);
	json_bool(&j, "more", more);
	json_int(&j, "unreadable", (int64_t)unreadable);
	json_bool(&j, "complete", complete);
	json_object_end(&j);
}

static bool read_number(struct control_request *r, const char *name, uint64_t max, uint64_t *v_r)
{
	const struct span v = control_arg(r, name);

	if (!v.p || span_to_u64(v, max, v_r))
		return true;
	control_fail(r, 400, "%s: a number up to %llu", name, (unsigned long long)max);
	return false;
}

void control_queue_list(struct control_request *r)
{
	const unsigned n = r->env->nworkers;
	struct queue_select select;
	uint64_t skip = 0, limit = ROWS_DEFAULT;
	bool any;

	if (!read_select(r, &select, &any) || !read_number(r, "skip", CONTROL_SKIP_MAX, &skip) ||
	    !read_number(r, "limit", CONTROL_ROWS_MAX, &limit))
		return;
	if (limit == 0) {
		control_fail(r, 400, "limit: at least 1");
		return;
	}
	struct queue_ask **q = mem_alloc_array(n, sizeof *q);
	struct ask **asks = mem_alloc_array(n, sizeof *asks);
	for (unsigned i = 0; i < n; i++) {
		q[i] = queue_ask_new(r, i, &select);
		q[i]->action.verb = QUEUE_VERB_LS;
		q[i]->action.want_envelope = true;
		q[i]->action.row = on_row;
		asks[i] = &q[i]->ask;
	}
	const int err = ask_for_rows(q, asks, n, skip, limit);
	write_rows(r, asks, n, limit, err == 0);
	for (unsigned i = 0; i < n; i++)
		ask_free(&asks[i]);
	free(asks);
	free(q);
}

/* ---- one message ---------------------------------------------------------------------------------------------- */

static void on_shown_row(struct queue_action *a, const struct queue_row *row)
{
	struct queue_ask *q = container_of(a, struct queue_ask, action);

	q->json = json_to(&q->ask.out);
	json_object(&q->json, NULL);
	control_row_write(&q->json, row);
	control_row_keep(&q->kept, q->mem, row);
}

static void on_head(struct op *op)
{
	struct queue_ask *q = container_of(op, struct queue_ask, load.op);

	if (op->status >= 0) {
		control_row_write_image(&q->json, &q->kept, q->load.image);
		spool_image_unref(&q->load.image);
	}
	json_object_end(&q->json);
	ask_answer(&q->ask, op->status);
}

static void on_found(struct op *op)
{
	struct queue_ask *q = container_of(op, struct queue_ask, action.op);
	struct control_worker *w = q->ask.worker;
	int err = op->status;

	if (err >= 0 && !q->action.messages)
		err = q->action.unreadable ? -ERR_CORRUPT : -ERR_NOTFOUND;
	op_init(&q->load.op, on_head);
	if (err >= 0)
		err = w->spool ? spool_load_start(&q->load, w->scope, w->spool, q->action.select.ids[0])
			       : -ERR_CLOSED;
	if (err < 0)
		ask_answer(&q->ask, err);
}

/* One answer of all: the message is with one worker, the others say that they do not have it. */
static void show_answer(struct control_request *r, struct ask *const *asks, unsigned n, int err)
{
	for (unsigned i = 0; i < n; i++) {
		if (asks[i] && asks[i]->status >= 0 && !asks[i]->out.overflow) {
			buf_add_span(&r->out, buf_span(&asks[i]->out));
			return;
		}
		if (asks[i] && asks[i]->status < 0 && asks[i]->status != -ERR_NOTFOUND)
			err = asks[i]->status;
	}
	if (err < 0)
		control_fail(r, 503, "the message could not be read: %s", err_text(err));
	else
		control_fail(r, 404, "no message %s is in the queue", id_from_u64(r->id).s);
}

void control_queue_show(struct control_request *r)
{
	const unsigned n = r->env->nworkers;
	const struct queue_select select = { .ids = &r->id, .nids = 1 };
	struct ask **asks = mem_alloc_array(n, sizeof *asks);

	for (unsigned i = 0; i < n; i++) {
		struct queue_ask *q = queue_ask_new(r, i, &select);
		q->action.verb = QUEUE_VERB_LS;
		q->action.want_envelope = true;
		q->action.row = on_shown_row;
		q->action.op.done = on_found;
		asks[i] = &q->ask;
	}
	const int err = ask_all(asks, n);
	show_answer(r, asks, n, err);
	for (unsigned i = 0; i < n; i++)
		ask_free(&asks[i]);
	free(asks);
}

/* ---- orders --------------------------------------------------------------------------------------------------- */

static void order_answer(struct control_request *r, struct ask *const *asks, unsigned n, bool complete)
{
	uint64_t messages = 0, recipients = 0, done = 0, busy = 0, unreadable = 0;
	struct json j = json_to(&r->out);

	for (unsigned i = 0; i < n; i++) {
		if (!asks[i]) {
			complete = false;
			continue;
		}
		const struct queue_action *a = &container_of(asks[i], struct queue_ask, ask)->action;
		complete = complete && asks[i]->status >= 0;
		messages += a->messages;
		recipients += a->recipients;
		done += a->done_recipients;
		busy += a->busy_recipients;
		unreadable += a->unreadable;
	}
	r->code = complete ? 200 : 504;
	json_object(&j, NULL);
	if (!complete)
		json_cstr(&j, "error",
			  "not all of it was done in time, or not by all workers; ask again to go on");
	json_int(&j, "messages", (int64_t)messages);
	json_int(&j, "recipients", (int64_t)recipients);
	json_int(&j, "done", (int64_t)done);
	json_int(&j, "busy", (int64_t)busy);
	json_int(&j, "unreadable", (int64_t)unreadable);
	json_bool(&j, "dry_run", control_flag(r, "dry_run"));
	json_bool(&j, "complete", complete);
	json_object_end(&j);
}

static void order(struct control_request *r, enum queue_verb verb, bool wants_reason)
{
	const unsigned n = r->env->nworkers;
	const struct span reason = span_trim(control_arg(r, "reason"));
	struct queue_select select;
	bool any;

	if (!read_select(r, &select, &any))
		return;
	if (!any && !control_flag(r, "all")) {
		control_fail(r, 400, "nothing is selected; give a selector, or all=1 for the whole queue");
		return;
	}
	if (wants_reason && !reason.n) {
		control_fail(r, 400, "a reason is wanted: reason=");
		return;
	}
	if (reason.n > CONTROL_REASON_MAX) {
		control_fail(r, 400, "reason: at most %d octets", CONTROL_REASON_MAX);
		return;
	}
	struct ask **asks = mem_alloc_array(n, sizeof *asks);
	for (unsigned i = 0; i < n; i++) {
		struct queue_ask *q = queue_ask_new(r, i, &select);
		q->action.verb = verb;
		q->action.dry_run = control_flag(r, "dry_run");
		asks[i] = &q->ask;
	}
	const int err = ask_all(asks, n);
	order_answer(r, asks, n, err == 0);
	for (unsigned i = 0; i < n; i++)
		ask_free(&asks[i]);
	free(asks);
}

void control_queue_retry(struct control_request *r)
{
	order(r, QUEUE_VERB_RETRY, false);
}

void control_queue_hold(struct control_request *r)
{
	order(r, QUEUE_VERB_HOLD, true);
}

void control_queue_release(struct control_request *r)
{
	order(r, QUEUE_VERB_RELEASE, false);
}

void control_queue_bounce(struct control_request *r)
{
	order(r, QUEUE_VERB_BOUNCE, true);
}

void control_queue_remove(struct control_request *r)
{
	order(r, QUEUE_VERB_REMOVE, true);
}
