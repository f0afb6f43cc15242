/* worker.c - the life of a worker.
 *
 *   1. the thread makes its loop, resolver, policies, delivery and queue, opens the spool (which tells the queue what it finds)
 *   2. its listeners open; "ready"
 *   3. sessions and deliveries, until a letter says reload or drain
 *   4. drain: listeners close, idle sessions get 421, the others have grace_us; then deliveries (jobs go back to the
 *      queue), then the queue (notes), the spool (all synced), the policies, the loop
 *
 * Ways it fails: anything of 1 and 2 (the process does not start, and says why).
 */
#include "main/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "io/tcp.h"
#include "main/store_queue.h"

struct worker_socket {
	struct worker *worker;
	unsigned listener; /* in the configuration that is in force */
	unsigned total;    /* in process->total */
	struct listener *accepting;
	int fd;
};

enum { LOG_FLUSH_US = 50000 };

static int64_t wall_us(void *arg)
{
	return loop_wall_us(arg);
}

/* ---- sessions ------------------------------------------------------------------------------------------------- */

static void release_config(void *arg)
{
	struct config *cfg = arg;

	config_unref(&cfg);
}

static void on_accepted(void *arg, struct stream *stream)
{
	struct worker_socket *s = arg;
	struct worker *w = s->worker;
	const struct session_listener *l = &w->cfg->listeners[s->listener].session;
	const struct session_setup setup = { .listener = l,
					     .total = &w->process->total[s->total],
					     .hooks = w->hooks,
					     .policies = w->hooks.ops->list(w->hooks.impl, l->name),
					     .release = release_config,
					     .release_arg = config_ref(w->cfg) };

	session_start(&w->sessions, &setup, stream);
}

static uint64_t on_etrn(void *arg, struct span domain)
{
	struct worker *w = arg;

	return queue_retry_domain(w->view.queue, domain);
}

static void on_session_gone(void *arg, struct session *s)
{
	struct worker *w = arg;

	(void)s;
	if (w->draining)
		task_schedule(w->view.loop, &w->drained_task);
}

/* ---- ending --------------------------------------------------------------------------------------------------- */

static void on_policies_closed(void *arg)
{
	struct worker *w = arg;

	dns_free(&w->view.dns);
	loop_stop(w->view.loop);
}

static void on_sts_closed(void *arg)
{
	struct worker *w = arg;

	spool_free(&w->view.spool);
	w->view.policies = NULL;
	policy_runtime_close(&w->policies, on_policies_closed, w);
}

static void on_delivery_closed(void *arg)
{
	struct worker *w = arg;

	delivery_free(&w->view.delivery);
	worker_sts_close(&w->sts, on_sts_closed, w);
}

/* Until it is closed the spool may ask the queue where a message stands; until it is freed it takes images back. */
static void on_spool_closed(void *arg)
{
	struct worker *w = arg;

	queue_free(&w->view.queue);
	delivery_close(w->view.delivery, on_delivery_closed, w);
}

static void on_queue_closed(void *arg)
{
	struct worker *w = arg;

	spool_close(w->view.spool, on_spool_closed, w);
}

enum { DELIVERY_GRACE_US = 10000000 };

/* Runs whenever a session has gone, and when their time is over. */
static void drain_on(struct worker *w)
{
	if (w->sessions.count || w->delivery_stopped)
		return;
	w->delivery_stopped = true;
	timer_unset(w->view.loop, &w->drain_timer);
	delivery_stop(w->view.delivery, DELIVERY_GRACE_US);
	queue_close(w->view.queue, on_queue_closed, w);
}

static void on_drained(struct task *t)
{
	drain_on(container_of(t, struct worker, drained_task));
}

static void on_drain_due(struct timer *t)
{
	session_close_all(&container_of(t, struct worker, drain_timer)->sessions);
}

static void drain(struct worker *w, int64_t grace_us)
{
	if (w->draining)
		return;
	w->draining = true;
	atomic_store(&w->state, WORKER_DRAINING);
	for (unsigned i = 0; i < w->nsockets; i++)
		if (w->sockets[i].accepting)
			listener_close(&w->sockets[i].accepting);
	session_drain_all(&w->sessions);
	timer_set_in(w->view.loop, &w->drain_timer, grace_us);
	drain_on(w);
}

/* ---- letters -------------------------------------------------------------------------------------------------- */

struct order {
	struct letter letter;
	struct worker *worker;
	struct config *cfg; /* reload; a reference */
	int64_t grace_us;   /* drain */
};

static struct delivery_config delivery_config_of(const struct worker *w)
{
	struct delivery_config cfg = w->cfg->delivery;

	cfg.policies = w->cfg->nlisteners
			       ? w->hooks.ops->list(w->hooks.impl, w->cfg->listeners[0].session.name)
			       : NULL;
	return cfg;
}

static void on_reload(struct letter *letter)
{
	struct order *o = container_of(letter, struct order, letter);
	struct worker *w = o->worker;
	struct config *old = w->cfg;
	struct errtext why;

	if (w->draining || policy_runtime_reload(w->policies, o->cfg->bundle, &why) < 0) {
		if (!w->draining)
			log_text(&w->log, LOG_EV_SERVER_NOTICE, "reload: %s",
				 why.s); /* it was proven before; this is a bug */
		config_unref(&o->cfg);
		free(o);
		return;
	}
	w->cfg = o->cfg;
	w->log.level_max = w->cfg->log_level;
	w->log.format = w->cfg->log_format;
	for (unsigned i = 0; i < w->nsockets; i++) {
		const struct config_listener *l =
			config_listener_by_name(w->cfg, old->listeners[w->sockets[i].listener].session.name);
		if (verify(l !=
			   NULL)) /* a listener that goes or comes needs a restart: config_reload_check() */
			w->sockets[i].listener = (unsigned)(l - w->cfg->listeners);
	}
	const struct delivery_config dc = delivery_config_of(w);
	delivery_configure(w->view.delivery, &dc, &w->hooks);
	queue_reroute(w->view.queue);
	config_unref(&old);
	free(o);
}

static void on_drain(struct letter *letter)
{
	struct order *o = container_of(letter, struct order, letter);

	drain(o->worker, o->grace_us);
	free(o);
}

static void send_order(struct worker *w, void (*open)(struct letter *l), struct config *cfg, int64_t grace_us)
{
	struct order *o = mem_alloc(sizeof *o);

	o->letter.open = open;
	o->worker = w;
	o->cfg = cfg;
	o->grace_us = grace_us;
	if (!loop_post(w->view.loop, &o->letter)) {
		if (cfg)
			config_unref(&o->cfg);
		free(o);
	}
}

void worker_reload(struct worker *w, struct config *cfg)
{
	send_order(w, on_reload, config_ref(cfg), 0);
}

void worker_drain(struct worker *w, int64_t grace_us)
{
	send_order(w, on_drain, NULL, grace_us);
}

/* ---- starting ------------------------------------------------------------------------------------------------- */

static int open_queue(struct worker *w, unsigned workers)
{
	struct control_worker *v = &w->view;
	const struct delivery_config dc = delivery_config_of(w);
	struct spool_config sc = w->cfg->spool;
	struct spool_recovery recovery;

	v->delivery = delivery_new(&dc, v->loop, v->dns, &w->hooks, &w->log, &w->metrics);
	worker_sts_open(&w->sts, w->cfg, w->index, v->loop, v->dns, w->process->http, w->process->disk,
			&w->log);
	delivery_use_sts(v->delivery, w->sts.sts, w->process->tls_report);
	const struct queue_ops ops = delivery_queue_ops(v->delivery);
	v->queue = queue_new(&w->cfg->queue, v->loop, w->process->ledger, &ops, &w->log, &w->metrics);
	queue_recovery(v->queue, &recovery);
	sc.worker = w->index;
	sc.workers = workers;
	const int err = spool_open(&v->spool, &sc, spool_fs_posix(), v->loop, w->process->disk, &w->log,
				   &w->metrics, &recovery, &w->found, &w->why);
	if (err < 0)
		return err;
	delivery_attach(v->delivery, v->queue, v->spool);
	queue_start(v->queue, v->spool);
	return 0;
}

static int open_all(struct worker *w, struct store_queue *store, unsigned workers)
{
	struct control_worker *v = &w->view;
	struct policy_env env = { .loop = v->loop,
				  .limits = w->process->limits,
				  .log = &w->log,
				  .metrics = &w->metrics,
				  .budget = w->cfg->limits,
				  .worker = (int)w->index };

	v->dns = dns_new(v->loop, &w->cfg->dns, &w->why);
	if (!v->dns)
		return -ERR_INVAL;
	env.dns = v->dns;
	int err = policy_runtime_new(&env, w->cfg->bundle, &w->why, &w->policies);
	if (err < 0)
		return err;
	v->policies = w->policies;
	w->hooks = (struct hooks){ &policy_hook_ops, w->policies };
	err = open_queue(w, workers);
	if (err < 0)
		return err;
	*store = (struct store_queue){ v->spool, v->queue, &w->scope };
	w->sessions = (struct session_env){ .loop = v->loop,
					    .dns = v->dns,
					    .store = store_queue_of(store),
					    .clients = w->process->clients,
					    .bans = w->process->bans,
					    .log = &w->log,
					    .metrics = &w->metrics,
					    .etrn = on_etrn,
					    .gone = on_session_gone,
					    .arg = w };
	session_env_init(&w->sessions);
	v->sessions = &w->sessions;
	v->scope = &w->scope;
	return 0;
}

static void listen_all(struct worker *w)
{
	for (unsigned i = 0; i < w->nsockets; i++)
		w->sockets[i].accepting =
			listener_new(w->view.loop, w->sockets[i].fd, on_accepted, &w->sockets[i]);
}

/* Lines are gathered for a moment: one write for many of them. */
static void on_flush_due(struct timer *t)
{
	struct worker *w = container_of(t, struct worker, flush_timer);

	log_flush(&w->log);
	timer_set_in(w->view.loop, t, LOG_FLUSH_US);
}

static void run(void *arg)
{
	struct worker *w = arg;
	struct store_queue store = { 0 };

	w->log.wall_us = wall_us;
	w->log.wall_arg = w->view.loop;
	scope_init(&w->scope, w->view.loop, NULL);
	task_init(&w->drained_task, on_drained);
	timer_init(&w->drain_timer, on_drain_due);
	timer_init(&w->flush_timer, on_flush_due);
	timer_set_in(w->view.loop, &w->flush_timer, LOG_FLUSH_US);
	if (open_all(w, &store, w->cfg->workers) < 0) {
		log_flush(&w->log);
		atomic_store(&w->state,
			     WORKER_FAILED); /* the process ends; nothing is torn down piece by piece */
		return;
	}
	listen_all(w);
	atomic_store(&w->state, WORKER_READY);
	loop_run(w->view.loop);
	loop_retire(w->view.loop); /* control's threads may be asking */
	timer_unset(w->view.loop, &w->flush_timer);
	log_flush(&w->log);
	atomic_store(&w->state, WORKER_ENDED);
}

struct worker *worker_start(struct process *p, unsigned index, struct config *cfg,
			    const struct worker_fd *fds, unsigned nfds)
{
	struct worker *w = mem_alloc(sizeof *w);
	char name[16];

	w->index = index;
	w->process = p;
	w->cfg = config_ref(cfg);
	w->view.loop = loop_new();
	loop_set_resident(w->view.loop, true);
	w->view.metrics = &w->metrics;
	metric_shard_init(&w->metrics);
	logger_init(&w->log, p->log);
	w->log.level_max = cfg->log_level;
	w->log.format = cfg->log_format;
	w->log.node = p->node;
	w->log.worker = (int)index;
	w->sockets = mem_alloc_array(nfds, sizeof *w->sockets);
	w->nsockets = nfds;
	for (unsigned i = 0; i < nfds; i++)
		w->sockets[i] = (struct worker_socket){
			.worker = w, .listener = fds[i].listener, .total = fds[i].listener, .fd = fds[i].fd
		};
	snprintf(name, sizeof name, "worker %u", index);
	w->thread = thread_start(name, run, w);
	return w;
}

int worker_wait_ready(struct worker *w, struct errtext *e)
{
	/* Recovery of a large spool takes its time; the process has nothing else to do until then. */
	while (atomic_load(&w->state) == WORKER_STARTING)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	if (atomic_load(&w->state) != WORKER_FAILED)
		return 0;
	*e = w->why;
	errtext_wrap(e, "worker %u", w->index);
	return -ERR_INVAL;
}

void worker_join(struct worker **w)
{
	if (!*w)
		return;
	thread_join(&(*w)->thread);
	if (atomic_load(&(*w)->state) == WORKER_ENDED)
		loop_free(&(*w)->view.loop);
	logger_deinit(&(*w)->log);
	metric_shard_deinit(&(*w)->metrics);
	config_unref(&(*w)->cfg);
	free((*w)->sockets);
	free(*w);
	*w = NULL;
}
