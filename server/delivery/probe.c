/* Happy path:
 *
 *   1. DNS: the addresses of the host, or of the domain's MX hosts
 *   2. CONNECT: the first that answers
 *   3. the dialogue (probe_talk.c), with the handshake in its middle: CERTIFICATE
 *   4. probe_end(): the connection is closed, and when that is done, done()
 *
 * The first step that fails ends it. An address that does not answer is a note as long as another one may.
 */
#include "delivery/probe.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/mem.h"
#include "delivery/probe_priv.h"

enum { TEXT_MAX = 1000, OUT_MAX = 64 * 1024 };

static void connect_target(struct probe *p);

const char *probe_step_name(enum probe_step step)
{
	static const char *const names[] = {
#define X(name, text) text,
		PROBE_STEP_MAP(X)
#undef X
	};

	return verify((size_t)step < ARRAY_LEN(names)) ? names[step] : "?";
}

const char *probe_outcome_name(enum probe_outcome outcome)
{
	static const char *const names[] = {
#define X(name, text) text,
		PROBE_OUTCOME_MAP(X)
#undef X
	};

	return verify((size_t)outcome < ARRAY_LEN(names)) ? names[outcome] : "?";
}

void probe_say(struct probe *p, enum probe_step step, enum probe_outcome outcome, unsigned code,
	       const char *fmt, ...)
{
	const int64_t now_us = loop_now_us(p->loop);
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	const struct probe_event e = { .step = step,
				       .outcome = outcome,
				       .code = code,
				       .text = span_of(text),
				       .took_us = now_us - p->last_us };
	p->last_us = now_us;
	p->cfg.said(p->cfg.arg, &e);
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

static void on_scope_closed(struct scope *s)
{
	struct probe *p = container_of(s, struct probe, scope);

	mx_lookup_deinit(&p->mx);
	dns_query_deinit(&p->tlsa);
	probe_talk_deinit(p);
	buf_wipe(&p->out);
	p->cfg.done(p->cfg.arg, !p->failed);
	free(p);
}

/* The memory goes when nothing can call any more: neither the stream nor who has the token. */
static void close_if_idle(struct probe *p)
{
	if (p->ended && p->stream_gone && !p->token_due)
		scope_close(&p->scope);
}

static void on_stream_gone(struct stream *stream, void *owner, int err)
{
	struct probe *p = owner;

	(void)err;
	stream_free(stream);
	p->stream_gone = true;
	close_if_idle(p);
}

static const struct stream_events gone_events = { .closed = on_stream_gone };

void probe_end(struct probe *p, bool good)
{
	struct stream *stream = p->stream;

	if (p->ended)
		return;
	p->ended = true;
	p->failed = !good;
	p->stream_gone = !stream;
	p->token_due = probe_talk_leave(p);
	p->stream = NULL;
	if (stream) {
		stream_set_owner(stream, &gone_events, p);
		stream_set_deadline(stream, 0);
		stream_close(stream, good);
	}
	close_if_idle(p);
}

void probe_token_came(struct probe *p)
{
	p->token_due = false;
	close_if_idle(p);
}

/* ---- TLS -------------------------------------------------------------------------------------------------------- */

static const struct mx_target *target_of(const struct probe *p)
{
	return &p->mx.targets[p->target_at];
}

static void say_certificate(struct probe *p, const struct tls_info *info)
{
	const int64_t left_s = info->cert_until_s - loop_wall_us(p->loop) / 1000000;
	const time_t until = (time_t)info->cert_until_s;
	const bool checked = p->verify != TLS_VERIFY_NONE;
	char date[32] = "?", verdict[200];
	struct tm tm;

	if (gmtime_r(&until, &tm))
		strftime(date, sizeof date, "%Y-%m-%d", &tm);
	if (info->cert_ok)
		snprintf(verdict, sizeof verdict, "%s", info->dane ? "as its TLSA record says" : "trusted");
	else
		snprintf(verdict, sizeof verdict, "not verified, which this route does not ask for: %.*s",
			 SPAN_ARG(info->cert_given ? info->cert_why : SPAN("there is none")));
	probe_say(p, PROBE_CERTIFICATE, checked ? PROBE_OK : PROBE_NOTE, 0,
		  "%.*s, %.*s; %s; for %.*s (%.*s), by %.*s, until %s, %lld days from now",
		  SPAN_ARG(info->version), SPAN_ARG(info->cipher), verdict,
		  SPAN_ARG(info->dns_name.n ? info->dns_name : info->common_name), SPAN_ARG(info->subject),
		  SPAN_ARG(info->issuer), date, (long long)(left_s / 86400));
}

static void on_handshake(struct op *op)
{
	struct probe *p = container_of(op, struct probe, handshake.op);

	if (op->status < 0) {
		probe_say(p, PROBE_CERTIFICATE, p->required ? PROBE_FAILED : PROBE_NOTE, 0, "%s%s",
			  p->handshake.why[0] ? p->handshake.why : err_text(op->status),
			  p->required ? "" : "; mail goes in the clear, which this route permits");
		probe_end(p, !p->required);
		return;
	}
	p->stream = p->handshake.stream_r;
	p->verified = p->verify != TLS_VERIFY_NONE;
	say_certificate(p, tls_info(p->stream));
	probe_talk_begin(p, true);
}

void probe_handshake(struct probe *p)
{
	const struct route *r = p->cfg.route;
	const struct span names[] = { target_of(p)->host, p->cfg.domain };
	struct tls_connect how = { .sni = target_of(p)->host,
				   .verify = p->verify,
				   .names = names,
				   .nnames = !r->nhosts && p->cfg.domain.n ? 2 : 1,
				   .tlsa = p->record,
				   .ntlsa = p->nrecords };

	if (r->tls.nnames && p->verify != TLS_VERIFY_DANE) {
		how.names = r->tls.names;
		how.nnames = r->tls.nnames;
	}
	stream_set_deadline(p->stream, 0);
	tls_handshake_init(&p->handshake, on_handshake);
	require(tls_connect_start(&p->handshake, &p->scope, p->stream, r->tls.context, &how, PROBE_STEP_US) ==
		0);
	p->stream = NULL; /* the handshake's */
}

/* What the route demands of the target in hand; RFC 7672 section 2.2 for records that nobody can use. */
static void demand(struct probe *p, const struct dns_answer *records)
{
	const struct route *r = p->cfg.route;

	p->required = r->tls.level == ROUTE_TLS_ENCRYPT || r->tls.level == ROUTE_TLS_VERIFY;
	p->verify = r->tls.level == ROUTE_TLS_VERIFY ? TLS_VERIFY_NAME : TLS_VERIFY_NONE;
	for (size_t i = 0; records && i < records->n && p->nrecords < PROBE_TLSA_MAX; i++) {
		const struct dns_record *rec = &records->record[i];
		const struct tls_tlsa t = { rec->tlsa.usage, rec->tlsa.selector, rec->tlsa.matching,
					    rec->data };
		if (tls_tlsa_usable(&t))
			p->record[p->nrecords++] = t;
	}
	if (records && records->n) {
		p->required = true;
		p->verify = p->nrecords ? TLS_VERIFY_DANE : TLS_VERIFY_NONE;
	}
	/* A login goes to servers that are known alone. */
	if (p->cfg.credential && !r->auth_unverified && p->verify == TLS_VERIFY_NONE &&
	    r->tls.level != ROUTE_TLS_OFF) {
		p->required = true;
		p->verify = TLS_VERIFY_NAME;
	}
}

static void on_tlsa(struct op *op)
{
	struct probe *p = container_of(op, struct probe, tlsa.op);
	const struct dns_answer *a = dns_query_answer(&p->tlsa);

	if (a->result == DNS_TEMPFAIL || a->result == DNS_INVALID) {
		probe_say(p, PROBE_DNS, PROBE_FAILED, 0, "the TLSA records of %.*s cannot be learned: %s",
			  SPAN_ARG(target_of(p)->host), a->why);
		probe_end(p, false);
		return;
	}
	const bool signed_ = a->result == DNS_OK && a->authenticated;
	demand(p, signed_ ? a : NULL);
	probe_say(p, PROBE_DNS, p->nrecords ? PROBE_OK : PROBE_NOTE, 0, "%zu TLSA records that can be used%s",
		  p->nrecords, signed_ ? "" : ": there are none, or they are not signed");
	connect_target(p);
}

/* ---- getting there ------------------------------------------------------------------------------------------------ */

static void on_connected(struct op *op)
{
	struct probe *p = container_of(op, struct probe, tcp.op);
	const bool last = p->target_at + 1 >= p->mx.n;

	if (op->status < 0) {
		probe_say(p, PROBE_CONNECT, last ? PROBE_FAILED : PROBE_NOTE, 0, "%s:%u: %s",
			  ip_format(&target_of(p)->addr).s, p->port, err_text(op->status));
		if (last) {
			probe_end(p, false);
			return;
		}
		p->target_at++;
		connect_target(p);
		return;
	}
	p->stream = p->tcp.stream_r;
	stream_set_owner(p->stream, &probe_stream_events, p);
	probe_say(p, PROBE_CONNECT, PROBE_OK, 0, "%.*s[%s]:%u", SPAN_ARG(target_of(p)->host),
		  ip_format(&target_of(p)->addr).s, p->port);
	if (p->cfg.route->tls.implicit)
		probe_handshake(p);
	else
		probe_talk_begin(p, false);
}

static void connect_target(struct probe *p)
{
	const struct route *r = p->cfg.route;
	const struct ip_endpoint to = { target_of(p)->addr, p->port };
	const struct ip_addr *source = to.addr.len == 4 ? &r->source4 : &r->source6;

	tcp_connect_init(&p->tcp, on_connected);
	require(tcp_connect_start(&p->tcp, &p->scope, &to, source->len ? source : NULL,
				  r->connect_timeout_us) == 0);
}

static void on_hosts(struct op *op)
{
	struct probe *p = container_of(op, struct probe, mx.op);
	char name[PROBE_NAME_MAX + 16];
	struct ip_addr literal;

	(void)op;
	if (p->mx.result != MX_FOUND) {
		probe_say(p, PROBE_DNS, PROBE_FAILED, 0, "%s", p->mx.why.s);
		probe_end(p, false);
		return;
	}
	const struct mx_target *t = target_of(p);
	probe_say(p, PROBE_DNS, PROBE_OK, 0, "%.*s has the address %s%s", SPAN_ARG(t->host),
		  ip_format(&t->addr).s, p->mx.n > 1 ? ", and there are more" : "");
	demand(p, NULL);
	if (p->cfg.route->tls.level != ROUTE_TLS_DANE || !t->authenticated || ip_parse(t->host, &literal)) {
		connect_target(p);
		return;
	}
	snprintf(name, sizeof name, "_%u._tcp.%.*s", p->port, SPAN_ARG(t->host));
	dns_query_init(&p->tlsa, on_tlsa);
	require(dns_query_start(&p->tlsa, p->dns, &p->scope, DNS_TLSA, span_of(name), 0) == 0);
}

struct probe *probe_start(const struct probe_config *cfg, struct loop *loop, struct dns *dns)
{
	struct probe *p = mem_alloc(sizeof *p);
	const struct route *r = cfg->route;
	const struct mx_config mx = { .self = *cfg->self, .families = r->families };

	p->cfg = *cfg;
	p->loop = loop;
	p->dns = dns;
	p->last_us = loop_now_us(loop);
	p->out = BUF_INIT(OUT_MAX);
	scope_init(&p->scope, loop, on_scope_closed);
	dns_query_init(&p->tlsa, on_tlsa);
	mx_lookup_init(&p->mx, on_hosts);
	p->port = r->nhosts ? r->host[cfg->host].port : r->port;
	const int err =
		r->nhosts ? mx_lookup_start_host(&p->mx, dns, &p->scope, &mx, r->host[cfg->host].name, 0)
			  : mx_lookup_start(&p->mx, dns, &p->scope, &mx, cfg->domain, 0);
	require(err == 0);
	return p;
}
