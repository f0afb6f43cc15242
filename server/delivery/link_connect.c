/* link_connect.c - from a job to a connection: hosts, then their addresses one after the other. */
#include <stdio.h>

#include "delivery/delivery_priv.h"

static void on_hosts(struct op *op);
static void on_connected(struct op *op);

/* One of the route's hosts, by weight. */
static uint32_t draw_host(const struct route *r)
{
	uint64_t sum = 0;
	uint32_t i = 0;

	for (uint32_t k = 0; k < r->nhosts; k++)
		sum += r->host[k].weight;
	for (uint64_t drawn = random_below(sum); drawn >= r->host[i].weight; i++)
		drawn -= r->host[i].weight;
	return i;
}

/* The text of a host that a policy chose has always a port; an address literal, which is a domain, never. */
static bool is_chosen(struct span hop, const struct route *r)
{
	const ptrdiff_t end = span_find_char(hop, ']');

	return hop.n && hop.p[0] == '[' && end > 0 && (size_t)end + 1 < hop.n &&
	       !(r->nhosts && span_eq(hop, r->host[0].text));
}

/* Asks for the addresses of the host in turn, or for the domain's. */
static void look_up(struct link *l, const struct route *r)
{
	const struct mx_config cfg = { .self = l->d->cfg.self, .families = r->families };
	struct route_host host;

	l->step = LINK_RESOLVING;
	if (l->mx_used)
		mx_lookup_deinit(&l->mx);
	mx_lookup_init(&l->mx, on_hosts);
	l->mx_used = true;
	l->target_at = 0;
	if (l->hop == LINK_HOP_ROUTE)
		host = r->host[l->host_at];
	else if (l->hop == LINK_HOP_CHOSEN && route_host_parse(l->dest->next_hop, &host) < 0)
		l->hop = LINK_HOP_MX; /* which will say what is wrong with it */
	l->port = l->hop == LINK_HOP_MX ? r->port : host.port;
	const int err = l->hop == LINK_HOP_MX
				? mx_lookup_start(&l->mx, l->d->dns, &l->scope, &cfg, l->dest->next_hop, 0)
				: mx_lookup_start_host(&l->mx, l->d->dns, &l->scope, &cfg, host.name, 0);
	require(err == 0); /* the scope is open while there is a job */
}

void link_resolve(struct link *l)
{
	const struct route *r = l->dest->route_config;

	if (!r) { /* the route is gone since the job was taken */
		link_put_back(l);
		return;
	}
	l->hop = is_chosen(l->dest->next_hop, r) ? LINK_HOP_CHOSEN : r->nhosts ? LINK_HOP_ROUTE : LINK_HOP_MX;
	l->hosts_tried = 0;
	l->trouble = (struct link_trouble){ 0 };
	l->generation = l->d->generation;
	link_auth_begin(l);
	link_tls_begin(l);
}

void link_look_up(struct link *l)
{
	const struct route *r = l->dest->route_config;

	if (!r) {
		link_put_back(l);
		return;
	}
	l->host_at = l->hop == LINK_HOP_ROUTE ? draw_host(r) : 0;
	look_up(l, r);
}

/* Nobody could be reached: the job is deferred, and the destination as a whole waits. */
static void unreachable(struct link *l)
{
	const struct link_trouble *t = &l->trouble;
	const struct smtp_enhanced_text enhanced =
		smtp_enhanced_format(t->enhanced.class ? t->enhanced : SMTP_ENHANCED(4, 4, 1));
	const struct queue_outcome why = { .status = QUEUE_DEFERRED,
					   .code = t->code,
					   .enhanced = span_of(enhanced.s),
					   .text = span_of(l->why.s),
					   .remote = span_of(l->remote) };

	if (!t->bounce)
		queue_dest_failed(l->d->queue, l->dest, &why);
	outcome_of_all(l, t->bounce ? QUEUE_BOUNCED : QUEUE_DEFERRED, t->code, enhanced.s, span_of(l->why.s));
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
	enum queue_status status = says[l->mx.result].status;
	const char *enhanced = says[l->mx.result].enhanced;

	l->why = l->mx.why;
	/* A smarthost without an address is the operator's mistake, not the sender's: the mail waits until it is mended. */
	if (l->hop != LINK_HOP_MX) {
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

	if (l->hop != LINK_HOP_ROUTE || !r || ++l->hosts_tried >= r->nhosts)
		return false;
	l->host_at = (l->host_at + 1) % r->nhosts;
	look_up(l, r);
	return true;
}

/* A target is chosen. */
static void target(struct link *l)
{
	const struct mx_target *t = &l->mx.targets[l->target_at];

	l->tried++;
	l->opened_us = loop_now_us(l->d->loop);
	snprintf(l->remote, sizeof l->remote, "%.*s[%s]:%u", SPAN_ARG(t->host), ip_format(&t->addr).s,
		 l->port);
	link_tls_demand(l);
}

static void on_hosts(struct op *op)
{
	struct link *l = container_of(op, struct link, mx.op);

	if (!l->has_work)
		return;
	if (l->mx.result == MX_FOUND)
		target(l);
	else if (!next_host(l))
		no_hosts(l);
}

void link_dial(struct link *l)
{
	const struct route *r = l->dest->route_config;
	const struct mx_target *t = &l->mx.targets[l->target_at];

	if (!r) {
		link_put_back(l);
		return;
	}
	const struct ip_endpoint to = { t->addr, l->port };
	const struct ip_addr *source = t->addr.len == 4 ? &r->source4 : &r->source6;

	l->step = LINK_CONNECTING;
	l->opened_us = loop_now_us(l->d->loop);
	tcp_connect_init(&l->tcp, on_connected);
	require(tcp_connect_start(&l->tcp, &l->scope, &to, source, r->connect_timeout_us) == 0);
}

static void log_failed(struct link *l, const struct link_trouble *t)
{
	struct log_rec r;

	metric_add_label(l->d->metrics, METRIC_OUTBOUND_CONNECTIONS_FAILED_TOTAL, span_of(t->what), 1);
	if (!log_begin(&r, l->d->log, LOG_EV_CONNECTION_FAILED))
		return;
	log_cstr(&r, LOG_F_RELAY, l->remote);
	log_str(&r, LOG_F_ROUTE, l->dest->route);
	log_str(&r, LOG_F_DOMAIN, l->dest->next_hop);
	if (t->code)
		log_int(&r, LOG_F_CODE, t->code);
	if (t->tls)
		log_cstr(&r, LOG_F_REASON, "tls_required");
	log_int(&r, LOG_F_DURATION_US, loop_now_us(l->d->loop) - l->opened_us);
	log_cstr(&r, LOG_F_WHAT, t->what);
	log_str(&r, LOG_F_TEXT, t->text);
	log_end(&r);
}

/* That the TLS which is demanded is not there is what the operator has to know, whatever another host said then. */
static void keep_trouble(struct link *l, const struct link_trouble *t)
{
	if (l->trouble.tls && !t->tls && !t->final)
		return;
	l->trouble = *t;
	l->trouble.text = (struct span){ NULL, 0 };
	if (t->tls || t->final)
		snprintf(l->why.s, sizeof l->why.s, "%.*s", SPAN_ARG(t->text));
	else
		snprintf(l->why.s, sizeof l->why.s, "%s: %.*s", t->what, SPAN_ARG(t->text));
}

void link_next_target(struct link *l, const struct link_trouble *why)
{
	log_failed(l, why);
	if (l->d->stopping) {
		link_put_back(l);
		return;
	}
	keep_trouble(l, why);
	if (l->dest->route_config && l->tried < LINK_TARGETS_TRIED_MAX && !why->final) {
		if (++l->target_at < l->mx.n) {
			target(l);
			return;
		}
		if (next_host(l))
			return;
	}
	unreachable(l);
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
		const struct link_trouble t = { .what = "connect", .text = span_of(err_text(op->status)) };
		link_next_target(l, &t);
		return;
	}
	metric_add(l->d->metrics, METRIC_OUTBOUND_CONNECTIONS_TOTAL, 1);
	l->stream = l->tcp.stream_r;
	l->messages = 0;
	l->reused = false;
	stream_set_owner(l->stream, &link_stream_events, l);
	const struct route *r = l->dest->route_config;
	if (r && r->tls.implicit)
		link_tls_start(l);
	else
		link_talk_new(l);
}
