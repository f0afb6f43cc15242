/* link.c - one outbound connection and the jobs that it carries.
 *
 *   TAKEN       the queue gave a job; it begins at the end of the turn, for the queue is not called back from inside ready()
 *   LOADING     the message is read back, if it is not in memory
 *   RESOLVING   the hosts of the destination, in order          (link_connect.c)
 *   ASKING_TLSA what the DNS says of its certificate             (link_demand.c), if the route is for DANE
 *   CONNECTING  one address after the other
 *   TALKING     the dialogue and the transaction                 (link_talk.c)
 *   HANDSHAKE   within it: TLS, at its start or by STARTTLS      (link_tls.c); AUTH is within it, too (link_auth.c)
 *   IDLE        kept for the next job, for idle_timeout
 *   CLOSING     what is pending ends, then the memory goes
 *
 * Ways it fails: no host ("never" bounces the job's recipients, "not now" defers them and tells the queue that the destination
 * is down); all addresses refuse, or have not the TLS that is demanded, or do not know our login (the same, deferred); the
 * connection is lost within a transaction (deferred; when the server had said nothing about this job yet, the next address gets
 * it); an idle connection was closed by the server (the job goes back unharmed and the link ends).
 */
#include "delivery/delivery_priv.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"

static void on_scope_closed(struct scope *scope);
static void on_run(struct task *t);
static void on_loaded(struct op *op);
static void on_load_again(struct timer *t);

static struct link *link_new(struct delivery *d, struct queue_dest *dest)
{
	struct link *l = mem_alloc(sizeof *l);

	l->d = d;
	l->dest = dest;
	l->counted = true;
	list_init(&l->idle);
	list_push_back(&d->links, &l->all);
	d->nlinks++;
	scope_init(&l->scope, d->loop, on_scope_closed);
	task_init(&l->run_task, on_run);
	timer_init(&l->load_again, on_load_again);
	buf_init(&l->out, 1024 * 1024);
	smtp_reply_parser_init(&l->parser, SMTP_REPLY_TEXT_MAX);
	metric_add(d->metrics, METRIC_OUTBOUND_CONNECTIONS_OPEN, 1);
	return l;
}

static void maybe_gone(struct link *l)
{
	struct delivery *d = l->d;

	if (!l->scope_closed || l->stream)
		return;
	require(!l->has_work);
	body_deinit(&l->body);
	arena_free(&l->mem);
	buf_free(&l->out);
	smtp_reply_parser_deinit(&l->parser);
	list_remove(&l->all);
	d->nlinks--;
	metric_add(d->metrics, METRIC_OUTBOUND_CONNECTIONS_OPEN, -1);
	free(l);
	delivery_link_gone(d);
}

static void on_scope_closed(struct scope *scope)
{
	struct link *l = container_of(scope, struct link, scope);

	l->scope_closed = true;
	if (l->mx_used)
		mx_lookup_deinit(&l->mx);
	link_tls_forget(l);
	link_sts_deinit(l);
	link_auth_over(l);
	maybe_gone(l);
}

/* The link has nothing more to do. Its place in the ledger is free at once; the memory goes when all is quiet. */
static void link_end(struct link *l)
{
	struct delivery *d = l->d;

	if (l->step == LINK_CLOSING)
		return;
	require(!l->has_work);
	l->step = LINK_CLOSING;
	list_remove(&l->idle);
	task_unschedule(&l->run_task);
	timer_unset(l->d->loop, &l->load_again);
	if (l->counted) {
		l->counted = false;
		queue_close_connection(d->queue, l->dest);
	}
	l->dest = NULL;
	if (l->stream)
		stream_close(l->stream, true);
	scope_close(&l->scope);
}

/* ---- jobs ----------------------------------------------------------------------------------------------------- */

static void take_job(struct link *l, const struct queue_work *work)
{
	l->work = *work;
	l->has_work = true;
	l->d->busy++;
	l->tried = 0;
	l->loads = 0;
	l->taken_us = loop_now_us(l->d->loop);
	l->mem = l->mem ? l->mem : arena_new(LINK_MEM_MAX);
	if (l->stream)
		stream_set_deadline(l->stream, 0);
	l->step = LINK_TAKEN;
	link_run_soon(l);
}

/* The transaction of the job in hand, from its envelope. False: it cannot be read. */
static bool make_txn(struct link *l)
{
	const struct spool_image *img = l->body.image;
	struct envelope *env = &l->env;
	struct smtp_txn *t = &l->txn;

	if (envelope_decode(img->meta, l->mem, env) < 0)
		return false;
	*t = (struct smtp_txn){
		.mem = l->mem, .sender = env->sender, .octets = body_octets(&l->body), .nrcpt = l->work.nrcpt
	};
	t->rcpt = arena_array(l->mem, struct smtp_txn_rcpt, l->work.nrcpt);
	if (!t->rcpt)
		return false;
	if (env->flags & (ENVELOPE_8BITMIME | ENVELOPE_BINARYMIME)) {
		t->params.has |= SMTP_MAIL_BODY;
		t->params.body = env->flags & ENVELOPE_BINARYMIME ? SMTP_BODY_BINARYMIME : SMTP_BODY_8BITMIME;
	}
	if (env->flags & ENVELOPE_SMTPUTF8)
		t->params.has |= SMTP_MAIL_SMTPUTF8;
	if (env->flags & (ENVELOPE_RET_FULL | ENVELOPE_RET_HDRS)) {
		t->params.has |= SMTP_MAIL_RET;
		t->params.ret = env->flags & ENVELOPE_RET_HDRS ? SMTP_RET_HDRS : SMTP_RET_FULL;
	}
	if (env->envid.n) {
		t->params.has |= SMTP_MAIL_ENVID;
		t->params.envid = env->envid;
	}
	if (env->deliver_by_us) {
		const int64_t left_s = (env->deliver_by_us - loop_wall_us(l->d->loop)) / 1000000;
		t->params.has |= SMTP_MAIL_BY;
		t->params.by = (struct smtp_by){ .seconds = (int32_t)(left_s > INT32_MAX   ? INT32_MAX
								      : left_s < -99999999 ? -99999999
											   : left_s),
						 .is_return = !(env->flags & ENVELOPE_BY_NOTIFY),
						 .trace = env->flags & ENVELOPE_BY_TRACE };
	}
	if (env->flags & ENVELOPE_REQUIRETLS)
		t->params.has |= SMTP_MAIL_REQUIRETLS;
	if (env->flags & ENVELOPE_HAS_8BIT)
		t->needs |= SMTP_TXN_HAS_8BIT;
	if ((env->flags & ENVELOPE_SMTPUTF8) && !ascii_only(img->head))
		t->needs |= SMTP_TXN_HAS_UTF8;
	t->needs |= SMTP_TXN_USE_BDAT | (t->octets <= 16384 ? SMTP_TXN_EAGER_BDAT : 0u);
	for (uint32_t i = 0; i < l->work.nrcpt; i++) {
		if (l->work.rcpts[i] >= env->nrcpt)
			return false;
		const struct envelope_rcpt *from = &env->rcpt[l->work.rcpts[i]];
		struct smtp_txn_rcpt *to = &t->rcpt[i];
		to->address = from->address;
		if (from->orcpt.n) {
			to->params.has |= SMTP_RCPT_ORCPT;
			to->params.orcpt = from->orcpt;
		}
		if (from->notify != NOTIFY_DEFAULT) {
			to->params.has |= SMTP_RCPT_NOTIFY;
			to->params.notify = (from->notify & NOTIFY_SUCCESS ? SMTP_NOTIFY_SUCCESS : 0u) |
					    (from->notify & NOTIFY_FAILURE ? SMTP_NOTIFY_FAILURE : 0u) |
					    (from->notify & NOTIFY_DELAY ? SMTP_NOTIFY_DELAY : 0u);
		}
	}
	return true;
}

static void job_loaded(struct link *l)
{
	if (!make_txn(l)) {
		l->env = (struct envelope){ 0 };
		outcome_of_all(l, QUEUE_DEFERRED, 0, "4.3.0", SPAN("the stored message cannot be read"));
		link_job_done(l);
		return;
	}
	/* While we read from disk the server may have said goodbye: nobody has heard of the job, another connection will. */
	if (l->stream && (stream_eof(l->stream) || stream_input(l->stream).n))
		link_drop_stream(l);
	if (l->stream)
		link_talk_begin(l);
	else
		link_resolve(l);
}

static void load_job(struct link *l)
{
	if (l->work.image) {
		body_init(&l->body, spool_image_ref(l->work.image));
		job_loaded(l);
		return;
	}
	l->step = LINK_LOADING;
	l->loads++;
	op_init(&l->load.op, on_loaded);
	require(spool_load_start(&l->load, &l->scope, l->d->spool, l->work.id) ==
		0); /* the scope is open while there is a job */
}

static void on_load_again(struct timer *t)
{
	load_job(container_of(t, struct link, load_again));
}

static void on_loaded(struct op *op)
{
	struct link *l = container_of(op, struct link, load.op);

	if (!l->has_work) { /* given back while it was being read */
		if (op->status >= 0)
			spool_image_unref(&l->load.image);
		return;
	}
	/* Messages that are out need all the memory there is: this one keeps its place and asks again. */
	if (op->status == -ERR_BUSY && l->loads < LINK_LOADS_MAX) {
		timer_set_in(l->d->loop, &l->load_again, LINK_LOAD_AGAIN_US);
		return;
	}
	if (op->status < 0) {
		outcome_of_all(l, QUEUE_DEFERRED, 0, "4.3.0", span_of(err_text(op->status)));
		link_job_done(l);
		return;
	}
	body_init(&l->body, l->load.image);
	l->load.image = NULL;
	job_loaded(l);
}

void link_start(struct delivery *d, struct queue_dest *dest, const struct queue_work *work)
{
	struct link *l = link_new(d, dest);

	take_job(l, work);
}

bool link_next_job(struct link *l)
{
	struct queue_work work;

	if (!queue_take(l->d->queue, l->dest, &work))
		return false;
	list_remove(&l->idle);
	take_job(l, &work);
	l->reused = true;
	return true;
}

/* The job is the queue's again (its outcomes are told, or it was put back): what the link does next. */
void link_job_done(struct link *l)
{
	const struct route *r = l->dest->route_config;

	/* Lost while its body was read: the link ends, and the body's memory goes after that. */
	const bool reading = op_pending(&l->body.read.op);

	l->has_work = false;
	l->d->busy--;
	if (!reading)
		body_deinit(&l->body);
	arena_release(l->mem);
	l->env = (struct envelope){ 0 };
	l->messages++;
	const uint32_t most = l->dest->limits.messages_per_connection_max;
	const bool usable = l->stream && l->client.state == SMTP_CLIENT_IN_READY && !reading;
	const bool outdated = l->generation != l->d->generation;
	if (!usable) {
		link_end(l);
		return;
	}
	if (l->d->stopping || !r || outdated || (most && l->messages >= most) ||
	    queue_connection_wanted(l->d->queue, l->dest)) {
		smtp_client_quit(&l->client);
		l->step = LINK_TALKING;
		link_run_soon(l);
		return;
	}
	l->step = LINK_IDLE;
	list_push_back(&((struct delivery_pool *)l->dest->pool)->idle, &l->idle);
	stream_set_deadline(l->stream, r->idle_timeout_us);
	link_run_soon(
		l); /* takes the next job, if there is one, from the loop and not from inside the last */
}

void link_put_back(struct link *l)
{
	queue_put_back(l->d->queue, l->work.job);
	link_job_done(l);
}

void link_drop_stream(struct link *l)
{
	if (!l->stream)
		return;
	stream_set_owner(l->stream, &link_stream_events, NULL);
	stream_close(l->stream, false);
	l->stream = NULL;
}

/* ---- driving -------------------------------------------------------------------------------------------------- */

void link_run_soon(struct link *l)
{
	task_schedule(l->d->loop, &l->run_task);
}

static void on_run(struct task *t)
{
	link_run(container_of(t, struct link, run_task));
}

void link_run(struct link *l)
{
	const struct route *r;

	switch (l->step) {
	case LINK_IDLE:
		if (l->d->stopping || link_next_job(l))
			break;
		/* For a stream a deadline of 0 is none; for an operator it is "not kept at all". */
		r = l->dest->route_config;
		if (r && r->idle_timeout_us == 0)
			link_close_idle(l);
		break;
	case LINK_TALKING:
		link_talk(l);
		break;
	case LINK_TAKEN:
		load_job(l);
		break;
	default:
		break;
	}
}

void link_close_idle(struct link *l)
{
	if (l->step != LINK_IDLE)
		return;
	list_remove(&l->idle);
	l->step = LINK_TALKING;
	smtp_client_quit(&l->client);
	link_run_soon(l);
}

void link_abandon(struct link *l)
{
	if (l->stream && l->step == LINK_IDLE)
		stream_write(l->stream, SPAN("QUIT\r\n")); /* goodbye is said; nobody waits for the answer */
	link_end(l);
}

/* Shutting down: a job that has not reached a server goes back; a transaction may end. */
void link_stop(struct link *l)
{
	switch (l->step) {
	case LINK_IDLE:
		link_close_idle(l);
		break;
	case LINK_TAKEN:
	case LINK_LOADING:
	case LINK_RESOLVING:
	case LINK_ASKING_TLSA:
	case LINK_CONNECTING:
	case LINK_HANDSHAKE:
		if (l->has_work) {
			queue_put_back(l->d->queue, l->work.job);
			l->has_work = false;
			l->d->busy--;
		}
		link_end(l);
		break;
	default:
		break;
	}
}

/* ---- the stream's last word ----------------------------------------------------------------------------------- */

void link_lost(struct link *l)
{
	if (l->step == LINK_CLOSING)
		maybe_gone(l);
	else if (l->has_work && (l->step == LINK_LOADING || l->step == LINK_TAKEN))
		return; /* job_loaded() finds no stream and connects anew */
	else
		link_end(l);
}
