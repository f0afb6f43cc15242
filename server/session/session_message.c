/* session_message.c - from the end of the content to its reply.
 *
 *   MESSAGE  keys of signatures that are still asked for (session_dkim.c), the header section as a list, hops, policy
 *   ROUTE    policy, once per recipient domain, if any has the hook
 *   COMMIT   our signatures and Received on top, envelope and header section to the store; waits until it is durable; 250
 *
 * Ways it fails: the content was refused while it came (the reply is kept in msg->fail), too many hops, a policy refuses, holds or
 * discards, the store cannot commit (452: the client keeps the message).
 */
#include "session/session_priv.h"

#include <stdio.h>

#include "mail/mail_received.h"
#include "smtp/smtp_path.h"

static void on_commit(struct op *op);

/* The end of the transaction, whatever became of it. */
static enum session_next message_done(struct session *s)
{
	session_msg_end(s);
	session_txn_end(s);
	s->phase = SESSION_PHASE_READY;
	return session_command_done(s);
}

/* The header section becomes a list that policies may edit. */
static void read_head(struct session *s)
{
	const struct session_listener *l = s->listener;
	struct session_msg *m = s->msg;

	/* A struct mail_field per field, the edits, and the octets that are written in the end. */
	m->head_mem = arena_new((size_t)l->head_max_bytes * 4 + 512 * 1024);
	m->view.head_mem = m->head_mem;
	if (mail_head_parse(m->head_mem, buf_span(&m->head), l->head_max_bytes, &m->view.head) < 0) {
		session_msg_fail(s, 552, SMTP_ENHANCED(5, 3, 4), "header-size",
				 "the header section is too large");
		return;
	}
	m->view.received = (uint32_t)mail_received_count(m->view.head);
	if (m->view.received > l->hops_max ||
	    mail_received_count_own(m->view.head, l->hostname) > l->own_hops_max)
		session_msg_fail(s, 554, SMTP_ENHANCED(5, 4, 6), "mail-loop",
				 "too many hops: this message goes in a circle");
	if (!m->fail.code)
		session_dkim_drop_forged(s);
}

static bool fill_view(struct session *s)
{
	struct session_msg *m = s->msg;

	m->view.queue_id = arena_dup(s->txn_mem, span_of(m->id.s));
	m->view.size_bytes = m->decoder.octets;
	m->view.body = s->env->store.ops->peek(s->env->store.impl, m->stored);
	m->view.has_8bit = m->has_8bit;
	m->view.rcpt = s->txn->rcpt;
	m->view.nrcpt = s->txn->view.rcpts;
	m->route = arena_array(s->txn_mem, struct span, m->view.nrcpt);
	return m->route != NULL;
}

enum session_next session_step_message(struct session *s)
{
	struct session_msg *m = s->msg;

	if (m->asked)
		return session_message_verdict(s);
	if (!m->fail.code && session_dkim_wait(s))
		return NEXT_WAIT;
	if (!m->fail.code)
		read_head(s);
	if (!m->fail.code && !fill_view(s))
		session_msg_fail(s, 452, SMTP_ENHANCED(4, 3, 1), "transaction-size", "transaction too large");
	if (m->fail.code) {
		session_refuse(s, &m->fail);
		return message_done(s);
	}
	m->asked = true;
	session_ask(s, HOOK_MESSAGE, SESSION_STEP_MESSAGE);
	return NEXT_STEP;
}

enum session_next session_message_verdict(struct session *s)
{
	const struct verdict *v = &s->call.verdict;
	struct session_msg *m = s->msg;

	switch (v->kind) {
	case VERDICT_REJECT:
	case VERDICT_DEFER:
		session_refuse_verdict(s, v, HOOK_MESSAGE, (struct span){ NULL, 0 });
		return message_done(s);
	case VERDICT_DISCONNECT:
		session_refuse_verdict(s, v, HOOK_MESSAGE, (struct span){ NULL, 0 });
		session_end(s, "policy");
		return NEXT_STEP;
	case VERDICT_DISCARD:
		session_log_discarded(s, v);
		session_replyf(s, 250, SMTP_ENHANCED(2, 0, 0), "Ok: queued as %s", m->id.s);
		s->conn.messages++;
		return message_done(s);
	case VERDICT_HOLD:
		s->txn->hold = *v;
		break;
	default:
		break;
	}
	m->route_at = 0;
	s->step = SESSION_STEP_ROUTE;
	s->call.verdict = (struct verdict){ 0 };
	return NEXT_STEP;
}

/* ---- routes --------------------------------------------------------------------------------------------------- */

static bool same_domain_before(const struct session *s, uint32_t i, uint32_t *first_r)
{
	for (uint32_t k = 0; k < i; k++) {
		if (span_eq(s->txn->rcpt[k].path.domain, s->txn->rcpt[i].path.domain)) {
			*first_r = k;
			return true;
		}
	}
	return false;
}

/* Asks for one domain after the other; an answer holds for all recipients of its domain. */
enum session_next session_step_route(struct session *s)
{
	struct session_msg *m = s->msg;
	const struct verdict *v = &s->call.verdict;
	uint32_t first;

	if (!s->setup.hooks.ops->wants(s->setup.hooks.impl, s->setup.policies, HOOK_ROUTE)) {
		s->step = SESSION_STEP_COMMIT;
		return NEXT_STEP;
	}
	if (m->route_asked) {
		m->route_asked = false;
		if (v->kind == VERDICT_REJECT || v->kind == VERDICT_DEFER || v->kind == VERDICT_DISCONNECT) {
			session_refuse_verdict(s, v, HOOK_ROUTE, s->txn->rcpt[m->route_at - 1].address);
			if (v->kind == VERDICT_DISCONNECT)
				session_end(s, "policy");
			return message_done(s);
		}
		if (v->kind == VERDICT_HOLD)
			s->txn->hold = *v;
		m->route[m->route_at - 1] = v->route;
	}
	while (m->route_at < m->view.nrcpt && same_domain_before(s, m->route_at, &first)) {
		m->route[m->route_at] = m->route[first];
		m->route_at++;
	}
	if (m->route_at == m->view.nrcpt) {
		s->step = SESSION_STEP_COMMIT;
		return NEXT_STEP;
	}
	*s->rcpt = s->txn->rcpt[m->route_at++];
	m->route_asked = true;
	session_ask(s, HOOK_ROUTE, SESSION_STEP_ROUTE);
	return NEXT_STEP;
}

/* ---- commit --------------------------------------------------------------------------------------------------- */

/* RFC 8689 section 3: there is at most one such field, and it has one value. */
static bool is_tls_optional(const struct mail_head *head)
{
	return mail_head_count(head, SPAN("TLS-Required")) == 1 &&
	       span_ieq(mail_head_value(head, SPAN("TLS-Required")), SPAN("No"));
}

static uint32_t envelope_flags_of(const struct session *s)
{
	const struct smtp_mail_params *p = &s->txn->view.params;
	uint32_t flags = 0;

	if (p->has & SMTP_MAIL_SMTPUTF8)
		flags |= ENVELOPE_SMTPUTF8;
	if ((p->has & SMTP_MAIL_BODY) && p->body == SMTP_BODY_8BITMIME)
		flags |= ENVELOPE_8BITMIME;
	if ((p->has & SMTP_MAIL_BODY) && p->body == SMTP_BODY_BINARYMIME)
		flags |= ENVELOPE_BINARYMIME;
	if (p->has & SMTP_MAIL_RET)
		flags |= p->ret == SMTP_RET_HDRS ? ENVELOPE_RET_HDRS : ENVELOPE_RET_FULL;
	if ((p->has & SMTP_MAIL_BY) && !p->by.is_return)
		flags |= ENVELOPE_BY_NOTIFY;
	if ((p->has & SMTP_MAIL_BY) && p->by.trace)
		flags |= ENVELOPE_BY_TRACE;
	if (p->has & SMTP_MAIL_REQUIRETLS)
		flags |= ENVELOPE_REQUIRETLS;
	else if (is_tls_optional(s->msg->view.head)) /* RFC 8689 section 4.1: the parameter goes first */
		flags |= ENVELOPE_TLS_OPTIONAL;
	if (s->msg->has_8bit)
		flags |= ENVELOPE_HAS_8BIT;
	if (s->txn->hold.kind == VERDICT_HOLD)
		flags |= ENVELOPE_HELD;
	return flags;
}

static uint8_t notify_of(const struct smtp_rcpt_params *p)
{
	if (!(p->has & SMTP_RCPT_NOTIFY))
		return NOTIFY_DEFAULT;
	if (p->notify == SMTP_NOTIFY_NEVER)
		return NOTIFY_NEVER;
	return (uint8_t)((p->notify & SMTP_NOTIFY_SUCCESS ? NOTIFY_SUCCESS : 0) |
			 (p->notify & SMTP_NOTIFY_FAILURE ? NOTIFY_FAILURE : 0) |
			 (p->notify & SMTP_NOTIFY_DELAY ? NOTIFY_DELAY : 0));
}

static bool fill_envelope(struct session *s, struct envelope *env)
{
	const struct session_txn *txn = s->txn;
	struct session_msg *m = s->msg;
	const struct smtp_mail_params *p = &txn->view.params;
	const int64_t now = loop_wall_us(s->env->loop);
	const struct span message_id = mail_head_value(m->view.head, SPAN("Message-ID"));
	const struct span subject = mail_head_value(m->view.head, SPAN("Subject"));

	*env = (struct envelope){ .flags = envelope_flags_of(s),
				  .arrived_at_us = now,
				  .sender = txn->view.sender_address,
				  .session = span_of(s->conn.id.s),
				  .device = s->conn.device.n ? s->conn.device : s->conn.auth_user,
				  .listener = s->conn.listener,
				  .helo = s->conn.helo,
				  .client_name = s->conn.reverse == VIEW_REVERSE_PASS
							 ? s->conn.reverse_name
							 : (struct span){ NULL, 0 },
				  .protocol = session_protocol(s),
				  .client = s->conn.client.addr,
				  .vars = m->view.meta,
				  .hold_reason = txn->hold.text,
				  .message_id = span_first(message_id, 250),
				  .subject = span_first(subject, 250),
				  .nrcpt = m->view.nrcpt };
	if (p->has & SMTP_MAIL_ENVID)
		env->envid = p->envid;
	if (p->has & SMTP_MAIL_BY)
		env->deliver_by_us = now + (int64_t)p->by.seconds * 1000000;
	env->rcpt = arena_array(s->txn_mem, struct envelope_rcpt, env->nrcpt);
	if (!env->rcpt)
		return false;
	for (uint32_t i = 0; i < env->nrcpt; i++) {
		const struct view_rcpt *r = &m->view.rcpt[i];
		env->rcpt[i] = (struct envelope_rcpt){ .address = r->address,
						       .domain = r->path.domain,
						       .orcpt = r->params.has & SMTP_RCPT_ORCPT
									? r->params.orcpt
									: (struct span){ NULL, 0 },
						       .route = m->route[i],
						       .notify = notify_of(&r->params) };
	}
	return true;
}

/* "(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))", and what is known of the client's certificate. */
static void tls_notes(struct session *s, struct mail_received *rec)
{
	enum { NAME_MAX_ = 100 };
	const struct view_tls *tls = s->conn.tls;

	if (!tls)
		return;
	rec->notes[0] =
		arena_printf(s->txn_mem, "using %.*s with cipher %.*s (%d/%d bits)", SPAN_ARG(tls->version),
			     SPAN_ARG(tls->cipher), tls->bits, tls->cipher_bits);
	if (tls->cert_given)
		rec->notes[1] = arena_printf(s->txn_mem, "Client CN \"%.*s\" %s",
					     SPAN_ARG(span_first(tls->common_name, NAME_MAX_)),
					     tls->cert_ok ? "verified OK" : "not verified");
	else
		rec->notes[1] = tls->cert_asked ? SPAN("Client did not present a certificate")
						: SPAN("No client certificate requested");
}

/* Received goes on top, Return-Path goes away: only the last system of all may add one (RFC 5321 section 4.4). */
static bool finish_head(struct session *s, struct buf *out)
{
	struct session_msg *m = s->msg;
	const struct view_rcpt *only = m->view.nrcpt == 1 ? m->view.rcpt : NULL;
	struct mail_received rec = {
		.helo = s->conn.helo,
		.ptr_name = s->conn.reverse == VIEW_REVERSE_PASS ? s->conn.reverse_name
								 : (struct span){ NULL, 0 },
		.ip = s->conn.client.addr,
		.host = s->listener->hostname,
		.how = session_how(s),
		.id = m->view.queue_id,
		.rcpt_count = m->view.nrcpt,
		.rcpt_local = only ? only->path.local : (struct span){ NULL, 0 },
		.rcpt_domain = only ? only->path.domain : (struct span){ NULL, 0 },
		.unix_s = loop_wall_us(s->env->loop) / 1000000,
		.zone_min = s->listener->zone_min,
	};

	tls_notes(s, &rec);
	mail_received_drop_return_path(m->view.head);
	return session_dkim_finish_head(s, out) == 0 && mail_received_write(out, &rec) == 0 &&
	       mail_head_write(m->view.head, out) == 0;
}

static enum session_next no_commit(struct session *s, const char *rule, const char *text)
{
	session_refuse(s, &(struct session_refusal){ .code = 452,
						     .enhanced = SMTP_ENHANCED(4, 3, 1),
						     .rule = rule,
						     .text = text,
						     .stage = HOOK_MESSAGE });
	return message_done(s);
}

static enum session_next commit_start(struct session *s)
{
	struct session_msg *m = s->msg;
	struct buf head = BUF_INIT((size_t)s->listener->head_max_bytes * 2 + 256 * 1024);
	struct envelope env;

	if (!fill_envelope(s, &env) || !finish_head(s, &head)) {
		buf_free(&head);
		return no_commit(s, "transaction-size", "transaction too large");
	}
	m->commit_started_us = loop_now_us(s->env->loop);
	m->committing = true;
	op_init(&s->commit.op, on_commit);
	const int err = s->env->store.ops->commit(s->env->store.impl, &s->commit, &s->scope, &m->stored, &env,
						  buf_span(&head));
	buf_free(&head);
	return err < 0 ? no_commit(s, "storage", "insufficient system storage; try again later") : NEXT_WAIT;
}

static void on_commit(struct op *op)
{
	session_run(container_of(op, struct session, commit.op));
}

enum session_next session_step_commit(struct session *s)
{
	struct session_msg *m = s->msg;

	if (!m->committing)
		return commit_start(s);
	if (s->commit.op.status < 0)
		return no_commit(s, "storage", "insufficient system storage; try again later");
	s->conn.messages++;
	s->idle_commands = 0;
	session_log_accepted(s);
	session_replyf(s, 250, SMTP_ENHANCED(2, 0, 0), "Ok: queued as %s", m->id.s);
	s->setup.hooks.ops->observe(s->setup.hooks.impl,
				    &(struct hook_event){ .id = OBSERVER_ACCEPTED,
							  .policies = s->setup.policies,
							  .conn = &s->conn,
							  .txn = &s->txn->view,
							  .msg = &m->view,
							  .queue_id = m->view.queue_id,
							  .sender = s->txn->view.sender_address,
							  .device = s->conn.device });
	return message_done(s);
}
