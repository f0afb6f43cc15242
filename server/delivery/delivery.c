/* delivery.c - the queue's other half: routes for recipients, links for destinations. */
#include "delivery/delivery_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

struct delivery *delivery_new(const struct delivery_config *cfg, struct loop *loop, struct dns *dns,
			      const struct hooks *hooks, struct logger *log, struct metric_shard *metrics)
{
	struct delivery *d = mem_alloc(sizeof *d);

	d->cfg = *cfg;
	d->loop = loop;
	d->dns = dns;
	d->hooks = *hooks;
	d->log = log;
	d->metrics = metrics;
	list_init(&d->links);
	scope_init(&d->notices, loop, NULL);
	return d;
}

void delivery_attach(struct delivery *d, struct queue *queue, struct spool *spool)
{
	d->queue = queue;
	d->spool = spool;
}

void delivery_use_sts(struct delivery *d, struct sts *sts, struct tls_report *report)
{
	d->sts = sts;
	d->report = report;
}

void delivery_configure(struct delivery *d, const struct delivery_config *cfg, const struct hooks *hooks)
{
	d->cfg = *cfg;
	d->hooks = *hooks;
	d->generation++;
	/* Connections that wait for work were made by other routes, levels, credentials. */
	list_for_each_safe(it, &d->links)
		link_close_idle(list_entry(it, struct link, all));
	/* What a look-up under way knows of ourselves belongs to the old configuration, which goes. */
	list_for_each(it, &d->links) {
		struct link *l = list_entry(it, struct link, all);
		if (l->step == LINK_RESOLVING && l->hop == LINK_HOP_MX)
			l->mx.config.self = cfg->self;
	}
}

void delivery_free(struct delivery **d)
{
	if (!*d)
		return;
	require(list_empty(&(*d)->links));
	free(*d);
	*d = NULL;
}

static struct span next_hop_of(const struct route *r, struct span domain)
{
	return r->nhosts ? r->host[0].text : domain;
}

/* With its port, always: "[192.0.2.1]" alone is the domain of an address literal. Empty: it is no host. */
static struct span chosen_host(struct delivery *d, struct span choice)
{
	struct route_host host;

	if (!choice.n || choice.p[0] != '[' || route_host_parse(choice, &host) < 0)
		return (struct span){ NULL, 0 };
	const int n = snprintf(d->chosen, sizeof d->chosen, "[%.*s]:%u", SPAN_ARG(host.name), host.port);
	return n > 0 && (size_t)n < sizeof d->chosen ? span_make(d->chosen, (size_t)n)
						     : (struct span){ NULL, 0 };
}

/* A policy's choice is a route's name, or a host; a name that is gone from the configuration falls back to the domain's. */
static void find_route(void *arg, const struct envelope *env, const struct envelope_rcpt *rcpt,
		       struct queue_route *route_r)
{
	struct delivery *d = arg;
	const struct route *r = rcpt->route.n ? route_by_name(d->cfg.routes, rcpt->route) : NULL;
	const struct span next_hop = chosen_host(d, rcpt->route);

	if (!r)
		r = route_find(d->cfg.routes, rcpt->domain);
	const struct route_login *login = route_login_find(r, env->sender);
	/* RFC 8689 section 5: a notice goes its way with less, too. */
	const struct variant variant = { .requiretls = (env->flags & ENVELOPE_REQUIRETLS) && env->sender.n,
					 .optional = (env->flags & ENVELOPE_TLS_OPTIONAL) &&
						     route_tls_is_asserted(r->tls.level),
					 .login = login ? login->domain : SPAN("") };
	*route_r = (struct queue_route){ .name = r->name,
					 .next_hop = next_hop.n ? next_hop : next_hop_of(r, rcpt->domain),
					 .variant = variant_format(d, &variant),
					 .config = r,
					 .schedule = &r->schedule,
					 .limits = r->limits };
}

static bool refresh_route(void *arg, const struct queue_dest *dest, struct queue_route *route_r)
{
	const struct delivery *d = arg;
	const struct route *r = route_by_name(d->cfg.routes, dest->route);

	if (!r)
		return false;
	/* A credential that is no more: its mail is routed anew. */
	const struct variant v = variant_parse(dest->variant);
	if (v.login.n && !route_login_of(r, v.login))
		return false;
	*route_r = (struct queue_route){ .name = r->name,
					 .next_hop = dest->next_hop,
					 .variant = dest->variant,
					 .config = r,
					 .schedule = &r->schedule,
					 .limits = r->limits };
	return true;
}

static struct delivery_pool *pool_of(struct queue_dest *dest)
{
	if (!dest->pool) {
		struct delivery_pool *p = mem_alloc(sizeof *p);
		list_init(&p->idle);
		dest->pool = p;
	}
	return dest->pool;
}

/* No place for another connection: one that nobody uses gives way, and when any has gone the queue is told. */
static void make_room(struct delivery *d)
{
	d->starved = true;
	list_for_each(it, &d->links) {
		struct link *l = list_entry(it, struct link, all);
		if (l->step == LINK_IDLE) {
			link_close_idle(l);
			return;
		}
	}
}

static void on_ready(void *arg, struct queue_dest *dest)
{
	struct delivery *d = arg;
	struct list *idle = list_first(&pool_of(dest)->idle);
	struct queue_work work;

	if (d->stopping)
		return;
	if (idle) {
		link_next_job(list_entry(idle, struct link, idle));
		return;
	}
	if (d->nlinks >= d->cfg.links_max) {
		make_room(d);
		return;
	}
	if (!queue_open_connection(d->queue, dest))
		return;
	if (queue_take(d->queue, dest, &work))
		link_start(d, dest, &work);
	else
		queue_close_connection(d->queue, dest);
}

static void on_wanted(void *arg, struct queue_dest *dest)
{
	struct list *idle = list_first(&pool_of(dest)->idle);

	(void)arg;
	if (idle)
		link_close_idle(list_entry(idle, struct link, idle));
}

static void on_dest_gone(void *arg, struct queue_dest *dest)
{
	struct delivery *d = arg;

	list_for_each_safe(it, &d->links) {
		struct link *l = list_entry(it, struct link, all);
		if (l->dest == dest)
			link_abandon(l);
	}
	free(dest->pool);
	dest->pool = NULL;
}

static void on_notify(void *arg, struct queue_notice *notice)
{
	notice_make(arg, notice);
}

/* What the queue ended itself: expired, DELIVERBY, an operator's order. */
static void on_ended(void *arg, uint64_t id, const struct envelope *env, const struct queue_outcome *outcomes,
		     uint32_t n)
{
	struct delivery *d = arg;

	for (uint32_t i = 0; env && i < n; i++)
		outcome_log(d, NULL, id, env, &outcomes[i]);
}

struct queue_ops delivery_queue_ops(struct delivery *d)
{
	return (struct queue_ops){ .arg = d,
				   .route = find_route,
				   .refresh = refresh_route,
				   .ready = on_ready,
				   .wanted = on_wanted,
				   .notify = on_notify,
				   .ended = on_ended,
				   .dest_gone = on_dest_gone };
}

static void on_all_closed(struct task *t)
{
	struct delivery *d = container_of(t, struct delivery, closed_task);

	d->on_closed(d->on_closed_arg);
}

void delivery_link_gone(struct delivery *d)
{
	if (d->on_closed && d->nlinks == 0)
		task_schedule(d->loop, &d->closed_task);
	if (d->starved && !d->stopping) {
		d->starved = false;
		queue_poke(d->queue);
	}
}

void delivery_stop(struct delivery *d, int64_t grace_us)
{
	d->stopping = true;
	list_for_each_safe(it, &d->links) {
		struct link *l = list_entry(it, struct link, all);
		link_stop(l);
		if (l->stream)
			stream_set_deadline(l->stream, grace_us > 0 ? grace_us : 1);
	}
}

void delivery_close(struct delivery *d, void (*closed)(void *arg), void *arg)
{
	d->on_closed = closed;
	d->on_closed_arg = arg;
	task_init(&d->closed_task, on_all_closed);
	delivery_link_gone(d);
}

struct delivery_stats delivery_stats(const struct delivery *d)
{
	return (struct delivery_stats){ .links = d->nlinks, .busy = d->busy, .idle = d->nlinks - d->busy };
}
