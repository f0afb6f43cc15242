/* control_info.c - what the server is doing: status, sessions, destinations, health, metrics. */
#include <stdlib.h>

#include "base/check.h"
#include "base/log_writer.h"
#include "base/mem.h"
#include "control/control_priv.h"
#include "gen/version.h"

enum { SESSIONS_SHOWN_MAX = 1000 };

static void write_status(struct ask *a)
{
	struct control_worker *w = a->worker;
	struct json j = json_to(&a->out);
	struct queue_stats q = { 0 };
	struct spool_stats s = { 0 };

	json_object(&j, NULL);
	if (w->queue && w->spool) {
		queue_stats(w->queue, &q);
		spool_stats(w->spool, &s);
		const struct delivery_stats d = delivery_stats(w->delivery);
		json_object(&j, "queue");
		json_int(&j, "messages", (int64_t)q.messages);
		json_int(&j, "recipients", (int64_t)q.recipients);
		json_int(&j, "ready", (int64_t)q.ready);
		json_int(&j, "active", (int64_t)q.out);
		json_int(&j, "deferred", (int64_t)q.waiting);
		json_int(&j, "held", (int64_t)q.held);
		json_int(&j, "memory_bytes", (int64_t)q.bytes);
		json_int(&j, "oldest_at", q.oldest_at_us / 1000000);
		json_object_end(&j);
		json_object(&j, "spool");
		json_int(&j, "messages", (int64_t)s.messages);
		json_int(&j, "segments", (int64_t)s.segments);
		json_int(&j, "live_bytes", (int64_t)s.live_octets);
		json_int(&j, "disk_bytes", (int64_t)s.disk_octets);
		json_int(&j, "free_bytes", (int64_t)s.free_octets);
		json_int(&j, "memory_bytes", (int64_t)s.memory_octets);
		json_bool(&j, "accepting", s.accepting);
		if (!s.accepting)
			json_cstr(&j, "why", s.why);
		json_object_end(&j);
		json_object(&j, "delivery");
		json_int(&j, "connections", d.links);
		json_int(&j, "busy", d.busy);
		json_object_end(&j);
	}
	if (w->sessions)
		json_int(&j, "sessions", w->sessions->count);
	if (w->policies)
		json_int(&j, "lua_bytes", (int64_t)policy_runtime_stats(w->policies).lua_bytes);
	json_object_end(&j);
	ask_answer(a, 0);
}

static void write_sessions(struct ask *a)
{
	struct control_worker *w = a->worker;
	struct json j = json_to(&a->out);
	struct arena *mem = arena_new(64 * 1024);
	unsigned shown = 0;

	json_array(&j, NULL);
	for (struct session *s = w->sessions ? session_next(w->sessions, NULL) : NULL;
	     s && shown < SESSIONS_SHOWN_MAX; s = session_next(w->sessions, s), shown++) {
		const struct view_conn *v = session_view(s);
		json_object(&j, NULL);
		json_cstr(&j, "session", v->id.s);
		json_str(&j, "listener", v->listener);
		json_cstr(&j, "client", ip_format(&v->client.addr).s);
		json_str(&j, "name", v->reverse_name);
		json_str(&j, "helo", v->helo);
		json_int(&j, "messages", v->messages);
		json_int(&j, "since", v->started_wall_us / 1000000);
		json_str(&j, "doing", session_doing(s, mem));
		json_object_end(&j);
		arena_reset(mem);
	}
	json_array_end(&j);
	arena_free(&mem);
	ask_answer(a, 0);
}

static void see_destination(void *arg, const struct queue_dest_view *v)
{
	struct json *j = arg;

	json_object(j, NULL);
	json_str(j, "destination", v->dest->name);
	json_str(j, "route", v->dest->route);
	json_str(j, "next_hop", v->dest->next_hop);
	json_int(j, "ready", (int64_t)v->ready);
	json_int(j, "active", (int64_t)v->out);
	json_int(j, "deferred", (int64_t)v->waiting);
	json_int(j, "connections", v->connections);
	json_int(j, "failures", v->failures);
	if (v->probe_at_us)
		json_int(j, "probe_at", v->probe_at_us / 1000000);
	if (v->failures)
		json_str(j, "why", v->why.text);
	json_object_end(j);
}

static void write_destinations(struct ask *a)
{
	struct json j = json_to(&a->out);

	json_array(&j, NULL);
	if (a->worker->queue)
		queue_for_each_dest(a->worker->queue, see_destination, &j);
	json_array_end(&j);
	ask_answer(a, 0);
}

/* One question to all workers; the answers are a JSON list with the workers' in their order. */
static void gather(struct control_request *r, void (*run)(struct ask *a))
{
	const unsigned n = r->env->nworkers;
	struct ask **asks = mem_alloc_array(n, sizeof *asks);
	struct json j = json_to(&r->out);

	for (unsigned i = 0; i < n; i++) {
		asks[i] = mem_alloc(sizeof **asks);
		asks[i]->worker = r->env->workers[i];
		asks[i]->run = run;
		buf_init(&asks[i]->out, CONTROL_ANSWER_MAX / 4);
	}
	const int err = ask_all(asks, n);
	json_object(&j, NULL);
	json_cstr(&j, "version", POSTERN_VERSION);
	json_int(&j, "generation", (int64_t)r->env->generation(r->env->arg));
	json_int(&j, "started_at", r->env->started_at_us / 1000000);
	json_bool(&j, "complete", err == 0);
	json_array(&j, "workers");
	for (unsigned i = 0; i < n; i++) {
		if (asks[i] && !asks[i]->out.overflow)
			json_raw(&j, NULL, buf_span(&asks[i]->out));
		else
			json_null(&j, NULL);
		ask_free(&asks[i]);
	}
	json_array_end(&j);
	json_object_end(&j);
	free(asks);
}

void control_status(struct control_request *r)
{
	gather(r, write_status);
}

void control_sessions(struct control_request *r)
{
	gather(r, write_sessions);
}

void control_destinations(struct control_request *r)
{
	gather(r, write_destinations);
}

static void health(struct control_request *r, int (*ask)(void *arg, struct errtext *e))
{
	struct errtext e = { "" };
	struct json j = json_to(&r->out);
	const int err = ask(r->env->arg, &e);

	r->code = err < 0 ? 503 : 200;
	json_object(&j, NULL);
	json_bool(&j, "ok", err >= 0);
	if (err < 0)
		json_cstr(&j, "error", e.s);
	json_object_end(&j);
}

void control_live(struct control_request *r)
{
	health(r, r->env->live);
}

void control_ready(struct control_request *r)
{
	health(r, r->env->ready);
}

void control_metrics(struct control_request *r)
{
	const unsigned n = r->env->nworkers;
	struct metric_shard **shards = mem_alloc_array(n + 1, sizeof *shards);

	for (unsigned i = 0; i < n; i++)
		shards[i] = r->env->workers[i]->metrics;
	shards[n] = r->env->process_metrics;
	/* Whoever counts these has no shard. */
	metric_set(shards[n], METRIC_BUGS_TOTAL, check_verify_failures());
	if (r->env->log_writer)
		metric_set(shards[n], METRIC_LOG_LINES_LOST_TOTAL,
			   (int64_t)log_writer_lost(r->env->log_writer));
	metric_write(&r->out, shards, n + 1);
	r->type = "text/plain; version=0.0.4";
	free(shards);
}
