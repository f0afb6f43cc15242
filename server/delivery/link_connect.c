/* link_connect.c - from a job to a connection: hosts, then their addresses one after the other. */
#include <stdio.h>

#include "delivery/delivery_priv.h"

static void on_hosts(struct op *op);
static void on_connected(struct op *op);

/* The host to ask for: of a policy's choice, of the route (drawn by weight, then the others), or none: MX. */
static bool pick_host(struct link *l, struct route_host *h_r)
{
	const struct route *r = l->dest->route_config;
	const struct span hop = l->dest->next_hop;

	if (hop.n && hop.p[0] == '[' && !(r->nhosts && span_eq(hop, r->host[0].text)))
		return route_host_parse(hop, h_r) ==
		       0; /* an address literal as a domain has no port and is for mx_lookup */
	if (!r->nhosts)
		return false;
	if (l->hosts_tried == 0 && r->nhosts > 1) {
		uint64_t sum = 0;
		for (uint32_t i = 0; i < r->nhosts; i++)
			sum += r->host[i].weight;
		uint64_t drawn = random_below(sum);
		for (l->host_at = 0; drawn >= r->host[l->host_at].weight; l->host_at++)
			drawn -= r->host[l->host_at].weight;
	}
	*h_r = r->host[l->host_at];
	return true;
}

void link_resolve(struct link *l)
{
	const struct route *r = l->dest->route_config;
	const struct mx_config cfg = { .self = l->d->cfg.self,
				       .families = r ? r->families : MX_FAMILIES_IPV6_FIRST };
	struct route_host host;
	int err;

	if (!r) { /* the route is gone since the job was taken */
		queue_put_back(l->d->queue, l->work.job);
		link_job_done(l);
		return;
	}
	l->step = LINK_RESOLVING;
	if (l->mx_used)
		mx_lookup_deinit(&l->mx);
	mx_lookup_init(&l->mx, on_hosts);
	l->mx_used = true;
	l->target_at = 0;
	if (pick_host(l, &host))
		err = mx_lookup_start_host(&l->mx, l->d->dns, &l->scope, &cfg, host.name, 0);
	else
		err = mx_lookup_start(&l->mx, l->d->dns, &l->scope, &cfg, l->dest->next_hop, 0);
	require(err == 0); /* the scope is open while there is a job */
}

/* Nobody could be reached: the job is deferred, and the destination as a whole waits. */
static void unreachable(struct link *l, int code)
{
	const struct queue_outcome why = { .status = QUEUE_DEFERRED,
					   .code = code,
					   .enhanced = SPAN("4.4.1"),
					   .text = span_of(l->why.s),
					   .remote = span_of(l->remote) };

	queue_dest_failed(l->d->queue, l->dest, &why);
	outcome_of_all(l, QUEUE_DEFERRED, code, "4.4.1", span_of(l->why.s));
	link_job_done(l);
}

static void no_hosts(struct link *l)
{
	static const struct {
		const char *enhanced;
		enum queue_status status;
	} says[] = {
		[MX_TEMPFAIL] = { "4.4.3", QUEUE_DEFERRED }, [MX_NXDOMAIN] = { "5.1.2", QUEUE_BOUNCED },
		[MX_NULL] = { "5.1.10", QUEUE_BOUNCED },     [MX_LOOP] = { "5.4.6", QUEUE_BOUNCED },
		[MX_UNUSABLE] = { "5.4.4", QUEUE_BOUNCED },  [MX_NO_ADDRESS] = { "5.4.4", QUEUE_BOUNCED },
		[MX_INVALID] = { "5.1.2", QUEUE_BOUNCED },
	};
	const struct route *r = l->dest->route_config;
	enum queue_status status = says[l->mx.result].status;
	const char *enhanced = says[l->mx.result].enhanced;

	l->why = l->mx.why;
	/* A smarthost without an address is the operator's mistake, not the sender's: the mail waits until it is mended. */
	if (r->nhosts) {
		status = QUEUE_DEFERRED;
		enhanced = "4.4.4";
	}
	l->remote[0] = 0;
	if (status == QUEUE_DEFERRED) {
		const struct queue_outcome why = { .status = status,
						   .enhanced = span_of(enhanced),
						   .text = span_of(l->why.s) };
		queue_dest_failed(l->d->queue, l->dest, &why);
	}
	outcome_of_all(l, status, 0, enhanced, span_of(l->why.s));
	link_job_done(l);
}

static bool next_host(struct link *l)
{
	const struct route *r = l->dest->route_config;

	if (!r || ++l->hosts_tried >= r->nhosts)
		return false;
	l->host_at = (l->host_at + 1) % r->nhosts;
	link_resolve(l);
	return true;
}

static void on_hosts(struct op *op)
{
	struct link *l = container_of(op, struct link, mx.op);

	if (!l->has_work)
		return;
	if (l->mx.result == MX_FOUND)
		link_connect(l);
	else if (!next_host(l))
		no_hosts(l);
}

static uint16_t port_of(struct link *l)
{
	const struct route *r = l->dest->route_config;
	struct route_host host;

	return pick_host(l, &host) ? host.port : r->port;
}

void link_connect(struct link *l)
{
	const struct route *r = l->dest->route_config;
	const struct mx_target *t = &l->mx.targets[l->target_at];

	if (!r) {
		queue_put_back(l->d->queue, l->work.job);
		link_job_done(l);
		return;
	}
	if (l->hosts_tried == 0)
		l->hosts_tried = r->nhosts ? 0 : 1;
	const struct ip_endpoint to = { t->addr,
					r->nhosts || l->dest->next_hop.p[0] == '[' ? port_of(l) : r->port };
	const struct ip_addr *source = t->addr.len == 4 ? &r->source4 : &r->source6;

	l->step = LINK_CONNECTING;
	l->tried++;
	snprintf(l->remote, sizeof l->remote, "%.*s[%s]:%u", SPAN_ARG(t->host), ip_format(&t->addr).s,
		 to.port);
	l->opened_us = loop_now_us(l->d->loop);
	tcp_connect_init(&l->tcp, on_connected);
	require(tcp_connect_start(&l->tcp, &l->scope, &to, source, r->connect_timeout_us) == 0);
}

static void log_failed(struct link *l, const char *what, int code, struct span text)
{
	struct log_rec r;

	metric_add_label(l->d->metrics, METRIC_OUTBOUND_CONNECTIONS_FAILED_TOTAL, span_of(what), 1);
	if (!log_begin(&r, l->d->log, LOG_EV_CONNECTION_FAILED))
		return;
	log_cstr(&r, LOG_F_RELAY, l->remote);
	log_str(&r, LOG_F_ROUTE, l->dest->route);
	log_str(&r, LOG_F_DOMAIN, l->dest->next_hop);
	if (code)
		log_int(&r, LOG_F_CODE, code);
	log_int(&r, LOG_F_DURATION_US, loop_now_us(l->d->loop) - l->opened_us);
	log_cstr(&r, LOG_F_WHAT, what);
	log_str(&r, LOG_F_TEXT, text);
	log_end(&r);
}

void link_next_target(struct link *l, const char *what, int code, struct span text)
{
	log_failed(l, what, code, text);
	snprintf(l->why.s, sizeof l->why.s, "%s: %.*s", what, SPAN_ARG(text));
	if (l->dest->route_config && l->tried < LINK_TARGETS_TRIED_MAX) {
		if (++l->target_at < l->mx.n) {
			link_connect(l);
			return;
		}
		if (next_host(l))
			return;
	}
	unreachable(l, code);
}

static void on_connected(struct op *op)
{
	struct link *l = container_of(op, struct link, tcp.op);

	if (!l->has_work) { /* given back while we connected */
		if (op->status >= 0) {
			stream_set_owner(l->tcp.stream_r, &link_stream_events, l);
			l->stream = l->tcp.stream_r;
			stream_close(l->stream, false);
		}
		return;
	}
	if (op->status < 0) {
		link_next_target(l, "connect", 0, span_of(err_text(op->status)));
		return;
	}
	metric_add(l->d->metrics, METRIC_OUTBOUND_CONNECTIONS_TOTAL, 1);
	l->stream = l->tcp.stream_r;
	l->messages = 0;
	l->reused = false;
	stream_set_owner(l->stream, &link_stream_events, l);
	const struct route *r = l->dest->route_config;
	smtp_client_init(&l->client, &(struct smtp_client_config){ .name = l->d->cfg.hostname,
								   .hide_ext = r ? r->hide_ext : 0,
								   .helo_only = r && r->helo_only });
	l->step = LINK_TALKING;
	link_talk(l);
}
