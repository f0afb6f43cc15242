/* session_reply.c - what we say, and above all how we refuse: code, enhanced code, what was wrong, rule, case, help. */
#include "session/session_priv.h"

#include <stdio.h>

void session_reply(struct session *s, unsigned code, struct smtp_enhanced e, struct span text)
{
	struct buf out = BUF_INIT(SMTP_REPLY_OCTETS_MAX);

	if (!s->stream)
		return;
	const unsigned flags = s->txn && (s->txn->view.params.has & SMTP_MAIL_SMTPUTF8) ? SMTP_REPLY_UTF8 : 0;
	if (smtp_reply_add(&out, code, e, text, flags))
		stream_write(s->stream, buf_span(&out)); /* an error shows as `closed` */
	buf_free(&out);
}

void session_replyf(struct session *s, unsigned code, struct smtp_enhanced e, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	const int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (verify(n >= 0))
		session_reply(s, code, e,
			      span_make(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1));
}

/* The defaults of a verdict without a code: what RFC 5321 section 4.2.2 and RFC 3463 have for it. */
static unsigned default_code(const struct verdict *v, enum hook_id stage)
{
	if (v->kind == VERDICT_DISCONNECT)
		return 421;
	if (stage == HOOK_AUTH)
		return v->kind == VERDICT_DEFER ? 454 : 535; /* RFC 4954 section 6 */
	if (v->kind == VERDICT_DEFER)
		return 451;
	return stage == HOOK_CONNECT || stage == HOOK_STARTTLS || stage == HOOK_MESSAGE || stage == HOOK_DATA
		       ? 554
		       : 550;
}

static struct smtp_enhanced enhanced_of(const struct verdict *v, unsigned code)
{
	struct smtp_enhanced e = code == 535 ? SMTP_ENHANCED(5, 7, 8) : SMTP_ENHANCED(5, 7, 1);

	if (code == 454)
		e = SMTP_ENHANCED(4, 7, 0);
	if (v->broken)
		e = SMTP_ENHANCED(4, 3, 0);
	if (v->enhanced.n)
		smtp_enhanced_parse(v->enhanced, &e);
	e.class = code >= 500 ? 5 : 4;
	return e;
}

/* "what was wrong; rule r; case c; help" */
static struct span explained(const struct session *s, char *out, size_t size, struct span text,
			     struct span rule, const struct id *case_id)
{
	const struct span url = s->listener->help_url;
	const int n = snprintf(out, size, "%.*s; rule %.*s; case %s%s%.*s", SPAN_ARG(text), SPAN_ARG(rule),
			       case_id->s, url.n ? "; " : "", SPAN_ARG(url));

	return span_make(out, n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1);
}

int session_refuse(struct session *s, const struct session_refusal *r)
{
	const struct verdict *v = r->verdict;
	const unsigned code = v ? (v->code ? v->code : default_code(v, r->stage)) : r->code;
	const struct smtp_enhanced e = v ? enhanced_of(v, code) : r->enhanced;
	struct span rule = v ? v->rule : span_of(r->rule);
	struct span text = v ? v->text : span_of(r->text);
	const struct id case_id = id_random();
	char said[SESSION_CASE_TEXT_MAX];

	if (!rule.n)
		rule = v && v->broken ? SPAN("policy-failed") : SPAN("unnamed");
	if (!text.n)
		text = code >= 500 ? SPAN("refused by policy") : SPAN("try again later");
	s->refusals++;
	if (s->txn && s->cmd && s->cmd->verb == SMTP_VERB_RCPT)
		s->txn->view.rcpts_refused++;
	s->conn.errors = s->refusals;
	session_reply(s, code, e, r->plain ? text : explained(s, said, sizeof said, text, rule, &case_id));
	session_log_refused(s, r, code, e, rule, text, &case_id);
	metric_add_label(s->env->metrics, METRIC_REFUSED_TOTAL, rule, 1);
	s->setup.hooks.ops->observe(s->setup.hooks.impl,
				    &(struct hook_event){ .id = OBSERVER_REFUSED,
							  .policies = s->setup.policies,
							  .conn = &s->conn,
							  .txn = s->txn ? &s->txn->view : NULL,
							  .verdict = v,
							  .recipient = r->to,
							  .text = text,
							  .status = rule,
							  .code = (int)code });
	return 1;
}

int session_refuse_protocol(struct session *s, unsigned code, struct smtp_enhanced e, const char *rule,
			    const char *text)
{
	return session_refuse(
		s, &(struct session_refusal){
			   .code = code, .enhanced = e, .rule = rule, .text = text, .stage = HOOK_MAX_ });
}

int session_refuse_verdict(struct session *s, const struct verdict *v, enum hook_id stage, struct span to)
{
	return session_refuse(s, &(struct session_refusal){ .verdict = v, .stage = stage, .to = to });
}

int session_refuse_params(struct session *s, int err, const struct smtp_param_error *e, const char *rule)
{
	enum { NAMED_MAX = 40 };
	const struct span param = span_first(e->param, NAMED_MAX);
	char text[200];

	snprintf(text, sizeof text, "%s%s%.*s", e->why, param.n ? ": " : "", SPAN_ARG(param));
	if (err == -ERR_NOMEM)
		return session_refuse_protocol(s, 452, SMTP_ENHANCED(4, 3, 1), "transaction-size",
					       "transaction too large");
	return session_refuse_protocol(s, err == -ERR_UNSUPPORTED ? 555 : 501, SMTP_ENHANCED(5, 5, 4), rule,
				       text);
}
