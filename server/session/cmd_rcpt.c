/* cmd_rcpt.c - RCPT TO (RFC 5321 section 4.1.1.3): where refusals of earlier commands are told, and where nothing passes that no
 * policy accepted. */
#include <stdio.h>

#include "session/session_priv.h"

static int refuse_recipient(struct session *s, unsigned code, struct smtp_enhanced e, const char *rule,
			    const char *text, struct span to)
{
	return session_refuse(s, &(struct session_refusal){ .code = code,
							    .enhanced = e,
							    .rule = rule,
							    .text = text,
							    .stage = HOOK_RCPT,
							    .to = to });
}

static int too_many(struct session *s)
{
	return session_refuse_protocol(s, 452, SMTP_ENHANCED(4, 5, 3), "too-many-recipients",
				       "too many recipients");
}

static int parse(struct session *s, struct view_rcpt *r)
{
	const bool utf8 = s->txn->view.params.has & SMTP_MAIL_SMTPUTF8;
	/* UTF-8 is parsed wherever it is offered, so that a recipient without the parameter gets the reason and not "syntax". */
	const bool offered = s->conn.esmtp && (s->listener->ext & SMTP_EXT_SMTPUTF8);
	const unsigned flags = session_lax(s) | SMTP_ALLOW_POSTMASTER | (offered ? SMTP_ALLOW_UTF8 : 0);
	struct smtp_param_error error;
	unsigned tolerated = 0;
	const char *why;

	int n = smtp_cmd_keyword(s->parsed.arg, SPAN("TO"), flags, &tolerated, &why);
	if (n < 0)
		return session_refuse_protocol(s, 501, SMTP_ENHANCED(5, 5, 4), "rcpt-syntax", why);
	const struct span rest = span_skip(s->parsed.arg, (size_t)n);
	n = smtp_path_parse(s->txn_mem, rest, flags, &r->path, &why);
	if (n == -ERR_NOMEM)
		return too_many(s);
	if (n < 0)
		return session_refuse_protocol(s, 501, SMTP_ENHANCED(5, 1, 3), "recipient-syntax", why);
	const int err =
		smtp_rcpt_params_parse(s->txn_mem, span_skip(rest, (size_t)n),
				       s->conn.esmtp ? s->listener->ext : 0, utf8, &r->params, &error);
	if (err < 0)
		return session_refuse_params(s, err, &error, "rcpt-parameter");
	struct buf address = BUF_INIT(SMTP_PATH_LONG_MAX + 8);
	smtp_path_format_mailbox(&r->path, &address);
	r->address = arena_dup(s->txn_mem, buf_span(&address));
	buf_free(&address);
	if (!r->address.p)
		return too_many(s);
	if ((r->path.is & SMTP_PATH_IS_UTF8) && !utf8)
		return refuse_recipient(s, 553, SMTP_ENHANCED(5, 6, 7), "smtputf8",
					"an internationalised address needs SMTPUTF8", r->address);
	return 0;
}

/* Who is not authenticated and has to be: told here and not at MAIL, so that the log has sender and recipient. The text is
 * the one that how-tos name. */
static int refuse_unauthenticated(struct session *s, struct span to)
{
	char text[350];

	if (!s->listener->auth.required || s->conn.auth_user.n)
		return 0;
	snprintf(text, sizeof text, "<%.*s[%s]>: Client host rejected: Access denied",
		 SPAN_ARG(s->conn.reverse == VIEW_REVERSE_PASS ? s->conn.reverse_name : SPAN("unknown")),
		 ip_format(&s->conn.client.addr).s);
	return session_refuse(s, &(struct session_refusal){ .code = 554,
							    .enhanced = SMTP_ENHANCED(5, 7, 1),
							    .rule = "auth-required",
							    .text = text,
							    .stage = HOOK_RCPT,
							    .to = to,
							    .plain = true });
}

/* <postmaster>, and postmaster at our own name, must reach somebody (RFC 5321 section 4.5.1): whom the operator named. */
static int send_to_postmaster(struct session *s, struct view_rcpt *r)
{
	const struct session_listener *l = s->listener;
	const char *why;

	if (!l->postmaster.n || !span_ieq(r->path.local, SPAN("postmaster")) ||
	    (r->path.domain.n && !span_ieq(r->path.domain, l->hostname)))
		return 0;
	if (smtp_path_parse_mailbox(s->txn_mem, l->postmaster, 0, &r->path, &why) < 0)
		return too_many(s); /* no memory: the configuration was checked */
	r->address = l->postmaster;
	r->is_postmaster = true;
	return 0;
}

int cmd_rcpt_check(struct session *s)
{
	struct view_rcpt r = { .txn = &s->txn->view };

	if (!s->rcpt)
		s->rcpt = arena_new_of(s->txn_mem, struct view_rcpt);
	int refused = s->rcpt ? parse(s, &r) : too_many(s);
	if (!refused)
		refused = send_to_postmaster(s, &r);
	if (refused)
		return refused;
	r.routed_local = smtp_path_is_routed_local(&r.path);
	s->rcpts_total++;
	if (refuse_unauthenticated(s, r.address))
		return 1;
	if (s->refusal.kind != VERDICT_NONE)
		return session_refuse_verdict(s, &s->refusal, s->refusal_stage, r.address);
	if (s->txn->refusal.kind != VERDICT_NONE)
		return session_refuse_verdict(s, &s->txn->refusal, HOOK_MAIL, r.address);
	if (s->txn->view.rcpts >= s->listener->rcpts_max) /* RFC 5321 section 4.5.3.1.10: 452, never 552 */
		return refuse_recipient(s, 452, SMTP_ENHANCED(4, 5, 3), "too-many-recipients",
					"too many recipients; send the rest in another message", r.address);
	*s->rcpt = r;
	return 0;
}

static int keep(struct session *s)
{
	struct session_txn *txn = s->txn;

	if (txn->view.rcpts == txn->rcpt_cap) {
		const uint32_t cap = txn->rcpt_cap ? txn->rcpt_cap * 2 : 4;
		struct view_rcpt *more = arena_array(s->txn_mem, struct view_rcpt, cap);
		if (!more)
			return too_many(s);
		if (txn->view.rcpts)
			memcpy(more, txn->rcpt, txn->view.rcpts * sizeof *more);
		txn->rcpt = more;
		txn->rcpt_cap = cap;
	}
	txn->rcpt[txn->view.rcpts++] = *s->rcpt;
	return 0;
}

enum session_next cmd_rcpt_apply(struct session *s)
{
	const struct view_rcpt *r = s->rcpt;
	int refused = 0;

	if (r->is_postmaster) /* a policy's refusal was told already */
		refused = keep(s);
	else if (!s->setup.hooks.ops->wants(s->setup.hooks.impl, s->setup.policies, HOOK_RCPT))
		refused = refuse_recipient(s, 451, SMTP_ENHANCED(4, 3, 5), "no-policy",
					   "no policy decides about recipients here", r->address);
	else if (s->call.verdict.kind != VERDICT_ACCEPT)
		refused = refuse_recipient(s, 550, SMTP_ENHANCED(5, 7, 1), "not-accepted",
					   "no rule lets you send to this recipient", r->address);
	else
		refused = keep(s);
	if (refused)
		return session_command_done(s);
	s->phase = SESSION_PHASE_RCPT;
	s->idle_commands = 0;
	session_reply(s, 250, SMTP_ENHANCED(2, 1, 5), SPAN("Ok"));
	return session_command_done(s);
}
