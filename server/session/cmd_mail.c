/* cmd_mail.c - MAIL FROM (RFC 5321 section 4.1.1.2) and its parameters. */
#include <stdio.h>

#include "session/session_priv.h"

static int refuse_path(struct session *s, int err, const char *why)
{
	if (err == -ERR_NOMEM)
		return session_refuse_protocol(s, 452, SMTP_ENHANCED(4, 3, 1), "transaction-size",
					       "transaction too large");
	return session_refuse_protocol(s, 501, SMTP_ENHANCED(5, 1, 7), "sender-syntax", why);
}

/* What the parameters ask for against what this listener can do. */
static int check_promises(struct session *s, const struct smtp_path *path, const struct smtp_mail_params *p)
{
	const struct session_listener *l = s->listener;

	if ((p->has & SMTP_MAIL_REQUIRETLS) && !s->conn.tls) /* RFC 8689 section 2 */
		return session_refuse_protocol(s, 530, SMTP_ENHANCED(5, 7, 10), "requiretls",
					       "REQUIRETLS needs a connection under TLS; say STARTTLS first");
	if ((p->has & SMTP_MAIL_SIZE) && p->size_octets > l->message_max_bytes) {
		char text[120];
		snprintf(text, sizeof text, "message of %llu octets exceeds the limit of %llu octets",
			 (unsigned long long)p->size_octets, (unsigned long long)l->message_max_bytes);
		return session_refuse_protocol(s, 552, SMTP_ENHANCED(5, 3, 4), "message-size", text);
	}
	if ((path->is & SMTP_PATH_IS_UTF8) && !(p->has & SMTP_MAIL_SMTPUTF8))
		return session_refuse_protocol(s, 550, SMTP_ENHANCED(5, 6, 7), "smtputf8",
					       "an internationalised address needs SMTPUTF8");
	if ((p->has & SMTP_MAIL_BY) && p->by.is_return) {
		if (p->by.seconds <= 0)
			return session_refuse_protocol(s, 501, SMTP_ENHANCED(5, 5, 4), "deliver-by",
						       "BY with R needs a positive time");
		if ((uint32_t)p->by.seconds < l->deliverby_min_s)
			return session_refuse_protocol(s, 554, SMTP_ENHANCED(5, 4, 7), "deliver-by",
						       "BY time is shorter than the minimum");
	}
	return 0;
}

/* RFC 4954 section 5: from whom is not authenticated, AUTH= is read and means AUTH=<>. */
static void distrust_auth(const struct session *s, struct smtp_mail_params *p)
{
	if ((p->has & SMTP_MAIL_AUTH) && !s->conn.auth_user.n)
		p->auth = SPAN("<>");
}

/* On a listener that wants to know who sends: here if refusals are said at once, else at RCPT. */
static int refuse_unauthenticated(struct session *s)
{
	if (!s->listener->auth.required || s->conn.auth_user.n || !s->listener->refuse_now)
		return 0;
	return session_refuse(s, &(struct session_refusal){ .code = 530, /* RFC 4954 section 6 */
							    .enhanced = SMTP_ENHANCED(5, 7, 0),
							    .rule = "auth-required",
							    .text = "Authentication required",
							    .stage = HOOK_MAIL,
							    .plain = true });
}

int cmd_mail_check(struct session *s)
{
	const bool utf8 = s->conn.esmtp && (s->listener->ext & SMTP_EXT_SMTPUTF8);
	const unsigned flags = session_lax(s) | SMTP_ALLOW_NULL | (utf8 ? SMTP_ALLOW_UTF8 : 0);
	/* A profile hides lines of the EHLO reply from a client that is confused by them, not the parameters from one that
	 * knows them. */
	const uint32_t ext = s->conn.esmtp ? s->listener->ext : 0;
	struct smtp_mail_params params;
	struct smtp_param_error error;
	struct smtp_path path;
	unsigned tolerated = 0;
	const char *why;

	if (s->conn.messages >= s->listener->messages_max) {
		session_refuse_protocol(s, 421, SMTP_ENHANCED(4, 7, 0), "messages-per-connection",
					"too many messages on this connection; connect again");
		session_end(s, "messages");
		return 1;
	}
	if (refuse_unauthenticated(s))
		return 1;
	int n = smtp_cmd_keyword(s->parsed.arg, SPAN("FROM"), flags, &tolerated, &why);
	if (n < 0)
		return session_refuse_protocol(s, 501, SMTP_ENHANCED(5, 5, 4), "mail-syntax", why);
	if (!session_txn_begin(s))
		return refuse_path(s, -ERR_NOMEM, NULL);
	const struct span rest = span_skip(s->parsed.arg, (size_t)n);
	n = smtp_path_parse(s->txn_mem, rest, flags, &path, &why);
	int refused = n < 0 ? refuse_path(s, n, why) : 0;
	if (!refused) {
		const int err =
			smtp_mail_params_parse(s->txn_mem, span_skip(rest, (size_t)n), ext, &params, &error);
		refused = err < 0 ? session_refuse_params(s, err, &error, "mail-parameter")
				  : check_promises(s, &path, &params);
	}
	if (refused) {
		session_txn_end(s);
		return 1;
	}
	struct buf address = BUF_INIT(SMTP_PATH_LONG_MAX + 8);
	smtp_path_format_mailbox(&path, &address);
	s->txn->view.sender = path;
	s->txn->view.sender_address = arena_dup(s->txn_mem, buf_span(&address));
	distrust_auth(s, &params);
	s->txn->view.params = params;
	buf_free(&address);
	return 0;
}

enum session_next cmd_mail_apply(struct session *s)
{
	s->phase = SESSION_PHASE_MAIL;
	session_reply(s, 250, SMTP_ENHANCED(2, 1, 0), SPAN("Ok"));
	return session_command_done(s);
}
