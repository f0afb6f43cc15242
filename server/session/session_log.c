/* session_log.c - the records of a session: one at its end, one per refusal, one per accepted message. The ids join them. */
#include "mail/mail_received.h"
#include "session/session_priv.h"

unsigned session_how(const struct session *s)
{
	const bool utf8 = s->txn && (s->txn->view.params.has & SMTP_MAIL_SMTPUTF8);

	return (s->conn.esmtp ? MAIL_RECEIVED_ESMTP : 0u) | (utf8 ? MAIL_RECEIVED_UTF8 : 0u) |
	       (s->conn.tls ? MAIL_RECEIVED_TLS : 0u) | (s->conn.auth_user.n ? MAIL_RECEIVED_AUTH : 0u);
}

struct span session_protocol(const struct session *s)
{
	return span_of(mail_received_keyword(session_how(s)));
}

/* Fields that are empty are left out: a record says what is known. */
static void opt(struct log_rec *r, enum log_field f, struct span value)
{
	if (value.n)
		log_str(r, f, value);
}

static void log_tls(const struct view_tls *tls, struct log_rec *r)
{
	if (!tls)
		return;
	log_str(r, LOG_F_TLS, tls->version);
	log_str(r, LOG_F_CIPHER, tls->cipher);
	log_int(r, LOG_F_BITS, tls->bits);
	opt(r, LOG_F_SNI, tls->sni);
	if (tls->resumed)
		log_bool(r, LOG_F_RESUMED, true);
	if (tls->cert_given) {
		opt(r, LOG_F_CERT, tls->subject);
		log_bool(r, LOG_F_CERT_OK, tls->cert_ok);
	}
}

void session_log_who(struct session *s, struct log_rec *r)
{
	log_cstr(r, LOG_F_SESSION, s->conn.id.s);
	log_str(r, LOG_F_LISTENER, s->conn.listener);
	log_cstr(r, LOG_F_CLIENT, ip_format(&s->conn.client.addr).s);
	log_int(r, LOG_F_CLIENT_PORT, s->conn.client.port);
	if (s->conn.reverse == VIEW_REVERSE_PASS)
		opt(r, LOG_F_PTR, s->conn.reverse_name);
	opt(r, LOG_F_HELO, s->conn.helo);
	if (s->conn.helo.n)
		log_str(r, LOG_F_PROTO, session_protocol(s));
	opt(r, LOG_F_DEVICE, s->conn.device);
	opt(r, LOG_F_USER, s->conn.auth_user);
	opt(r, LOG_F_MECH, s->conn.auth_mech);
	log_tls(s->conn.tls, r);
}

static void path_json(struct log_rec *r, enum log_field f, const struct decision_path *const *paths, size_t n)
{
	struct json *j = log_json(r, f);

	json_array(j, NULL);
	for (size_t k = 0; k < n; k++) {
		for (uint16_t i = 0; i < paths[k]->n; i++) {
			const struct decision *d = &paths[k]->step[i];
			json_object(j, NULL);
			json_cstr(j, "hook", hook_name((enum hook_id)d->hook));
			json_str(j, "policy", d->policy);
			json_cstr(j, "verdict", verdict_kind_name((enum verdict_kind)d->kind));
			if (d->rule.n)
				json_str(j, "rule", d->rule);
			if (d->mode != HOOK_MODE_ENFORCE)
				json_bool(j, "observed", true);
			if (d->broken)
				json_bool(j, "broken", true);
			json_int(j, "us", d->took_us);
			json_object_end(j);
		}
	}
	json_array_end(j);
}

static void whole_path(struct session *s, struct log_rec *r, enum log_field f)
{
	const struct decision_path *paths[3] = { &s->path, &s->helo_path, s->txn ? &s->txn->path : NULL };

	path_json(r, f, paths, s->txn ? 3 : 2);
}

void session_log_refused(struct session *s, const struct session_refusal *rf, unsigned code,
			 struct smtp_enhanced e, struct span rule, struct span text, const struct id *case_id)
{
	const char *stage = rf->stage < HOOK_MAX_ ? hook_name(rf->stage)
			    : s->cmd              ? smtp_verb_name(s->cmd->verb)
						  : "session";
	struct log_rec r;

	if (!log_begin(&r, s->env->log, LOG_EV_REFUSED))
		return;
	session_log_who(s, &r);
	log_cstr(&r, LOG_F_CASE, case_id->s);
	log_cstr(&r, LOG_F_STAGE, stage);
	if (s->txn)
		log_str(&r, LOG_F_FROM, s->txn->view.sender_address);
	opt(&r, LOG_F_TO, rf->to);
	log_int(&r, LOG_F_CODE, code);
	log_cstr(&r, LOG_F_ENHANCED, smtp_enhanced_format(e).s);
	log_str(&r, LOG_F_RULE, rule);
	if (rf->verdict)
		opt(&r, LOG_F_POLICY, rf->verdict->policy);
	log_str(&r, LOG_F_TEXT, text);
	if (s->msg)
		log_int(&r, LOG_F_SIZE_BYTES, (int64_t)s->msg->decoder.octets);
	whole_path(s, &r, LOG_F_PATH);
	log_end(&r);
}

void session_log_event(struct session *s, enum log_event event)
{
	struct log_rec r;

	if (!log_begin(&r, s->env->log, event))
		return;
	session_log_who(s, &r);
	log_end(&r);
}

static void recipients(struct session *s, struct log_rec *r)
{
	enum { NAMED_MAX = 50 }; /* of thousands the number is enough */
	struct json *j = log_json(r, LOG_F_RECIPIENTS);

	json_array(j, NULL);
	for (uint32_t i = 0; i < s->txn->view.rcpts && i < NAMED_MAX; i++)
		json_str(j, NULL, s->txn->rcpt[i].address);
	json_array_end(j);
}

static void message(struct session *s, struct log_rec *r)
{
	struct session_msg *m = s->msg;

	log_str(r, LOG_F_FROM, s->txn->view.sender_address);
	recipients(s, r);
	log_int(r, LOG_F_NRCPT, s->txn->view.rcpts);
	log_int(r, LOG_F_SIZE_BYTES, (int64_t)m->decoder.octets);
	opt(r, LOG_F_MESSAGE_ID, span_first(mail_head_value(m->view.head, SPAN("Message-ID")), 250));
}

/* As it was sent, encoded words and all. */
static void subject(const struct session *s, struct log_rec *r)
{
	char text[256]; /* the record cuts it, at a character's end */
	const struct span value =
		span_first(mail_head_value(s->msg->view.head, SPAN("Subject")), sizeof text);

	for (size_t i = 0; i < value.n; i++)
		text[i] = (unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f ? '?' : value.p[i];
	opt(r, LOG_F_SUBJECT, span_make(text, value.n));
}

void session_log_accepted(struct session *s)
{
	struct session_msg *m = s->msg;
	const int64_t now = loop_now_us(s->env->loop);
	struct log_rec r;

	metric_add(s->env->metrics, METRIC_RECIPIENTS_ACCEPTED_TOTAL, s->txn->view.rcpts);
	metric_add_label(s->env->metrics, METRIC_MESSAGES_ACCEPTED_TOTAL, s->conn.listener, 1);
	metric_observe(s->env->metrics, METRIC_MESSAGE_BYTES, (int64_t)m->decoder.octets);
	metric_observe(s->env->metrics, METRIC_DATA_SECONDS, now - m->body_ended_us);
	if (!log_begin(&r, s->env->log, LOG_EV_MESSAGE_ACCEPTED))
		return;
	session_log_who(s, &r);
	log_cstr(&r, LOG_F_ID, m->id.s);
	message(s, &r);
	if (s->listener->log_subject)
		subject(s, &r);
	log_int(&r, LOG_F_DURATION_US, now - m->began_us);
	log_int(&r, LOG_F_COMMIT_US, now - m->commit_started_us);
	session_dkim_log(s, &r);
	whole_path(s, &r, LOG_F_DECISIONS);
	log_end(&r);
}

void session_log_discarded(struct session *s, const struct verdict *v)
{
	struct log_rec r;

	metric_add(s->env->metrics, METRIC_MESSAGES_DISCARDED_TOTAL, 1);
	if (!log_begin(&r, s->env->log, LOG_EV_MESSAGE_DISCARDED))
		return;
	session_log_who(s, &r);
	message(s, &r);
	opt(&r, LOG_F_RULE, v->rule);
	opt(&r, LOG_F_POLICY, v->policy);
	opt(&r, LOG_F_TEXT, v->text);
	whole_path(s, &r, LOG_F_DECISIONS);
	log_end(&r);
}

void session_log_finished(struct session *s)
{
	const int64_t took = loop_now_us(s->env->loop) - s->started_us;
	struct log_rec r;

	metric_add(s->env->metrics, METRIC_COMMANDS_TOTAL, s->commands);
	metric_add(s->env->metrics, METRIC_RECEIVED_BYTES_TOTAL, (int64_t)s->bytes_in);
	metric_observe(s->env->metrics, METRIC_SESSION_SECONDS, took);
	metric_add_label(s->env->metrics, METRIC_SESSION_ENDS_TOTAL,
			 span_of(s->end_reason ? s->end_reason : "closed"), 1);
	metric_add_label(s->env->metrics, METRIC_SESSIONS_TLS_TOTAL,
			 s->conn.tls ? s->conn.tls->version : SPAN("none"), 1);
	s->setup.hooks.ops->observe(s->setup.hooks.impl, &(struct hook_event){ .id = OBSERVER_SESSION_CLOSED,
									       .policies = s->setup.policies,
									       .conn = &s->conn });
	if (!log_begin(&r, s->env->log, LOG_EV_SESSION_FINISHED))
		return;
	session_log_who(s, &r);
	log_int(&r, LOG_F_COMMANDS, s->commands);
	log_int(&r, LOG_F_MESSAGES, s->conn.messages);
	log_int(&r, LOG_F_NRCPT, s->rcpts_total);
	log_int(&r, LOG_F_REFUSALS, s->refusals);
	log_int(&r, LOG_F_DURATION_US, took);
	log_int(&r, LOG_F_BYTES_IN, (int64_t)s->bytes_in);
	log_int(&r, LOG_F_BYTES_OUT, (int64_t)s->bytes_out);
	log_cstr(&r, LOG_F_REASON, s->end_reason);
	if (s->conn.early_talker)
		log_bool(&r, LOG_F_EARLY_TALKER, true);
	log_end(&r);
}
