/* link_tls.c - a connection becomes one under TLS, or does not; link_demand.c says what there has to be.
 *
 * How it fails:
 *   octets behind the 220             somebody put them there, or the server is broken: no further word with it
 *   the handshake, or STARTTLS        where TLS may be left out, a new connection to the same target in the clear, for a
 *                                     while at once; else the next target, and the mail waits: "tls_required"
 *   the same, for REQUIRETLS mail     it is returned, 5.7.10 (RFC 8689 section 4.2.1)
 */
#include "delivery/delivery_priv.h"

#include <stdio.h>

/* ---- servers whose TLS is broken ---------------------------------------------------------------------------------- */

static struct delivery_pool *pool_of(const struct link *l)
{
	return l->dest->pool;
}

static struct ip_endpoint target_of(const struct link *l)
{
	return (struct ip_endpoint){ l->mx.targets[l->target_at].addr, l->port };
}

static bool is_same(const struct ip_endpoint *a, const struct ip_endpoint *b)
{
	return a->port == b->port && ip_eq(&a->addr, &b->addr);
}

bool link_tls_is_plain(const struct link *l)
{
	const struct ip_endpoint to = target_of(l);
	const struct delivery_pool *p = pool_of(l);

	for (size_t i = 0; i < ARRAY_LEN(p->plain); i++)
		if (p->plain[i].until_us > loop_now_us(l->d->loop) && is_same(&p->plain[i].at, &to))
			return true;
	return false;
}

static void remember_plain(struct link *l)
{
	struct delivery_pool *p = pool_of(l);

	p->plain[p->plain_next % LINK_PLAIN_MAX].at = target_of(l);
	p->plain[p->plain_next % LINK_PLAIN_MAX].until_us = loop_now_us(l->d->loop) + LINK_PLAIN_US;
	p->plain_next++;
}

/* ---- one target after the other ------------------------------------------------------------------------------------ */

void link_tls_forget(struct link *l)
{
	struct link_tls *s = &l->tls;

	if (s->tlsa_used)
		dns_query_deinit(&s->tlsa);
	s->tlsa_used = false;
	s->nrecords = 0;
	s->tlsa_base = (struct span){ NULL, 0 };
	s->required = s->plain = s->forged = s->on = s->verified = s->cert_ok = false;
	s->verify = TLS_VERIFY_NONE;
	s->version[0] = s->cipher[0] = 0;
}

enum smtp_client_tls link_tls_policy(const struct link *l)
{
	if (l->tls.required)
		return SMTP_CLIENT_TLS_REQUIRED;
	return l->tls.demand.level == ROUTE_TLS_OFF || l->tls.plain ? SMTP_CLIENT_TLS_NEVER
								    : SMTP_CLIENT_TLS_IF_OFFERED;
}

bool link_tls_is_secure(const struct link *l)
{
	const bool certain =
		l->hop != LINK_HOP_MX || l->mx.targets[l->target_at].authenticated || l->tls.demand.nmx;

	return l->tls.verified && certain;
}

/* ---- the handshake ------------------------------------------------------------------------------------------------- */

static void keep_info(struct link *l, const struct tls_info *info)
{
	struct link_tls *s = &l->tls;

	s->on = true;
	s->verified = s->verify != TLS_VERIFY_NONE;
	if (!verify(info != NULL))
		return;
	s->cert_ok = info->cert_ok;
	snprintf(s->version, sizeof s->version, "%.*s", SPAN_ARG(info->version));
	snprintf(s->cipher, sizeof s->cipher, "%.*s", SPAN_ARG(info->cipher));
}

static void on_handshake(struct op *op)
{
	struct link *l = container_of(op, struct link, tls.handshake.op);
	struct tls_handshake *h = &l->tls.handshake;

	if (op->status >= 0) {
		l->stream = h->stream_r;
		stream_set_owner(l->stream, &link_stream_events, l);
	}
	if (!l->has_work) { /* given back meanwhile */
		if (l->stream)
			stream_close(l->stream, false);
		return;
	}
	if (op->status < 0) {
		struct link_trouble t = { .what = smtp_step_text(SMTP_STEP_TLS),
					  .text = h->why[0] ? span_of(h->why)
							    : span_of(err_text(op->status)) };
		link_tls_failed(l, &t);
		return;
	}
	keep_info(l, tls_info(l->stream));
	if (l->client.state == SMTP_CLIENT_IN_HANDSHAKE) {
		l->step = LINK_TALKING;
		smtp_client_tls_done(&l->client, link_tls_is_secure(l));
		link_talk(l);
	} else {
		link_talk_new(l); /* from its start */
	}
}

/* RFC 3207 section 4.2, turned round: who can write into the connection before the handshake would have us take his words for
 * the server's. */
static bool is_forged(struct link *l)
{
	const bool asked = l->client.state == SMTP_CLIENT_IN_HANDSHAKE;

	return asked && (stream_input(l->stream).n > 0 || smtp_reply_parser_is_midway(&l->parser));
}

static void say_how(const struct link *l, struct tls_connect *how, struct span names[2])
{
	const struct route *r = l->dest->route_config;
	const struct mx_target *t = &l->mx.targets[l->target_at];

	/* RFC 7672 sections 3.2.2 and 8.1: the name whose records they are. */
	names[0] = l->tls.verify == TLS_VERIFY_DANE ? l->tls.tlsa_base : t->host;
	names[1] = l->dest->next_hop;
	*how = (struct tls_connect){ .sni = names[0],
				     .verify = l->tls.verify,
				     .names = names,
				     .nnames = l->hop == LINK_HOP_MX && l->dest->next_hop.p[0] != '[' ? 2 : 1,
				     .tlsa = l->tls.record,
				     .ntlsa = l->tls.nrecords };
	/* A policy names MX hosts (RFC 8461 section 4.1); the domain's own name says nothing about them. */
	if (l->tls.demand.level == ROUTE_TLS_STS)
		how->nnames = 1;
	/* What the operator wrote, but not against what the DNS proves (RFC 7672 section 3.2.2). */
	if (r->tls.nnames && l->tls.verify != TLS_VERIFY_DANE) {
		how->names = r->tls.names;
		how->nnames = r->tls.nnames;
	}
}

void link_tls_start(struct link *l)
{
	const struct route *r = l->dest->route_config;
	struct link_trouble t = { .what = smtp_step_text(SMTP_STEP_TLS) };
	struct tls_connect how;
	struct span names[2];

	if (!r) {
		link_drop_stream(l);
		link_put_back(l);
		return;
	}
	if (is_forged(l)) {
		l->tls.forged = true;
		link_drop_stream(l);
		t.text = SPAN(
			"more than the reply to STARTTLS came before the handshake: somebody writes into the connection");
		link_tls_failed(l, &t);
		return;
	}
	const int64_t full_us = (int64_t)smtp_step_timeout_s(SMTP_STEP_TLS) * 1000000;
	l->step = LINK_HANDSHAKE;
	stream_set_deadline(l->stream, 0);
	say_how(l, &how, names);
	tls_handshake_init(&l->tls.handshake, on_handshake);
	const int err = tls_connect_start(&l->tls.handshake, &l->scope, l->stream, r->tls.context, &how,
					  full_us * r->timeout_percent / 100);
	if (err == 0) {
		l->stream = NULL; /* the handshake's */
		return;
	}
	link_drop_stream(l);
	t.text = span_of(err_text(err));
	link_tls_failed(l, &t);
}

/* ---- without it ---------------------------------------------------------------------------------------------------- */

static void log_fallback(const struct link *l, const struct link_trouble *t)
{
	struct log_rec r;

	if (!log_begin(&r, l->d->log, LOG_EV_TLS_FELL_BACK))
		return;
	log_cstr(&r, LOG_F_RELAY, l->remote);
	log_str(&r, LOG_F_ROUTE, l->dest->route);
	log_str(&r, LOG_F_DOMAIN, l->dest->next_hop);
	log_cstr(&r, LOG_F_WHAT, t->what);
	log_str(&r, LOG_F_TEXT, t->text);
	log_end(&r);
}

void link_tls_failed(struct link *l, struct link_trouble *t)
{
	struct link_tls *s = &l->tls;
	char text[SMTP_RESULT_TEXT_MAX];

	metric_add_label(l->d->metrics, METRIC_OUTBOUND_TLS_FAILED_TOTAL, span_of(t->what), 1);
	link_sts_failed(l, link_sts_result(l), t->text);
	if (!s->required && !s->forged && !l->d->stopping && l->dest->route_config) {
		log_fallback(l, t);
		remember_plain(l);
		s->plain = true;
		link_dial(l);
		return;
	}
	t->tls = s->required;
	/* What the server lacks is 4.7.4, what fails to convince us 4.7.5 (RFC 3463 section 3.8). */
	t->enhanced = l->client.tls_required ? SMTP_ENHANCED(4, 7, 4) : SMTP_ENHANCED(4, 7, 5);
	if (t->tls && !l->client.tls_required) {
		snprintf(text, sizeof text, "TLS is required: %.*s", SPAN_ARG(t->text));
		t->text = span_of(text);
	}
	if (t->tls && s->demand.requiretls) {
		t->bounce = true;
		t->enhanced = SMTP_ENHANCED(5, 7, 10);
	}
	link_next_target(l, t);
}

/* ---- the log ------------------------------------------------------------------------------------------------------- */

static const char *level_name(const struct link_tls *s)
{
	if (!s->on)
		return route_tls_name(s->demand.level == ROUTE_TLS_OFF ? ROUTE_TLS_OFF : ROUTE_TLS_MAY);
	switch (s->verify) {
	case TLS_VERIFY_DANE:
		return route_tls_name(ROUTE_TLS_DANE);
	case TLS_VERIFY_NAME:
		return route_tls_name(s->demand.nmx ? ROUTE_TLS_STS : ROUTE_TLS_VERIFY);
	default:
		return route_tls_name(s->required ? ROUTE_TLS_ENCRYPT : ROUTE_TLS_MAY);
	}
}

void link_tls_log(const struct link *l, struct log_rec *r)
{
	const struct link_tls *s = &l->tls;

	log_cstr(r, LOG_F_TLS, s->on ? s->version : "none");
	log_cstr(r, LOG_F_TLS_LEVEL, level_name(s));
	if (!s->on)
		return;
	log_cstr(r, LOG_F_CIPHER, s->cipher);
	log_bool(r, LOG_F_CERT_OK, s->cert_ok);
}

void link_tls_note(struct link *l)
{
	struct log_rec r;

	if (l->tls.on)
		metric_add_label(l->d->metrics, METRIC_OUTBOUND_TLS_TOTAL, span_of(l->tls.version), 1);
	link_sts_report(l);
	if (log_begin(&r, l->d->log, LOG_EV_CONNECTION_OPENED)) {
		log_cstr(&r, LOG_F_RELAY, l->remote);
		log_str(&r, LOG_F_ROUTE, l->dest->route);
		log_str(&r, LOG_F_DOMAIN, l->dest->next_hop);
		link_tls_log(l, &r);
		log_int(&r, LOG_F_DURATION_US, loop_now_us(l->d->loop) - l->opened_us);
		log_end(&r);
	}
	/* The operator of a route that never uses TLS may not know that it could. */
	if (l->tls.on || !l->client.tls_offered || l->tls.demand.level != ROUTE_TLS_OFF)
		return;
	if (!log_begin(&r, l->d->log, LOG_EV_STARTTLS_UNUSED))
		return;
	log_cstr(&r, LOG_F_RELAY, l->remote);
	log_str(&r, LOG_F_ROUTE, l->dest->route);
	log_str(&r, LOG_F_DOMAIN, l->dest->next_hop);
	log_end(&r);
}
