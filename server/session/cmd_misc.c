/* cmd_misc.c - the commands that move no mail: RSET NOOP VRFY EXPN HELP ETRN QUIT. */
#include "session/session_priv.h"

static const struct smtp_enhanced none;

enum session_next cmd_rset_apply(struct session *s)
{
	session_msg_end(s);
	session_txn_end(s);
	session_reply(s, 250, SMTP_ENHANCED(2, 0, 0), SPAN("Ok"));
	return session_command_done(s);
}

enum session_next cmd_noop_apply(struct session *s)
{
	session_reply(s, 250, SMTP_ENHANCED(2, 0, 0), SPAN("Ok"));
	return session_command_done(s);
}

/* RFC 5321 section 3.5.3: 252 says neither yes nor no; who exists is nobody's business here. */
enum session_next cmd_vrfy_apply(struct session *s)
{
	session_reply(s, 252, SMTP_ENHANCED(2, 5, 0),
		      SPAN("Cannot VRFY user, but will take a message and try to deliver it"));
	return session_command_done(s);
}

enum session_next cmd_expn_apply(struct session *s)
{
	session_refuse_protocol(s, 502, SMTP_ENHANCED(5, 7, 0), "not-implemented", "EXPN is not available");
	return session_command_done(s);
}

enum session_next cmd_help_apply(struct session *s)
{
	const struct session_listener *l = s->listener;
	const uint32_t ext = session_ext(s);

	session_replyf(s, 214, SMTP_ENHANCED(2, 0, 0),
		       "HELO EHLO %s%sMAIL RCPT DATA BDAT RSET NOOP VRFY HELP ETRN QUIT\n%.*s%s%.*s",
		       ext & SMTP_EXT_STARTTLS ? "STARTTLS " : "", ext & SMTP_EXT_AUTH ? "AUTH " : "",
		       SPAN_ARG(l->help_text.n ? l->help_text : SPAN("A mail relay for devices")),
		       l->help_url.n ? "\n" : "", SPAN_ARG(l->help_url));
	return session_command_done(s);
}

/* RFC 1985. "@domain" is the domain and what is under it; "#queue" is not known here. */
int cmd_etrn_check(struct session *s)
{
	const struct span arg = s->parsed.arg;
	const struct span name = arg.n && arg.p[0] == '@' ? span_skip(arg, 1) : arg;
	unsigned tolerated = 0;
	struct span checked;
	const char *why;

	if (!(s->listener->ext & SMTP_EXT_ETRN) || !s->env->etrn)
		return session_refuse_protocol(s, 502, SMTP_ENHANCED(5, 5, 1), "not-implemented",
					       "ETRN is not offered here");
	if (arg.n && arg.p[0] == '#')
		return session_refuse_protocol(s, 458, SMTP_ENHANCED(4, 5, 0), "etrn",
					       "unable to queue messages for that node");
	if (smtp_helo_name_check(name, 0, &checked, &tolerated, &why) < 0)
		return session_refuse_protocol(s, 501, SMTP_ENHANCED(5, 5, 4), "etrn", why);
	if (!s->listener->etrn_from || !ip_set_contains(s->listener->etrn_from, &s->conn.client.addr))
		return session_refuse_protocol(s, 459, SMTP_ENHANCED(4, 7, 1), "etrn-not-allowed",
					       "node not allowed: ETRN is for named networks");
	return 0;
}

enum session_next cmd_etrn_apply(struct session *s)
{
	const uint64_t n = s->env->etrn(s->env->arg, s->parsed.arg);

	if (n)
		session_replyf(s, 253, none, "OK, %llu pending messages for node %.*s started",
			       (unsigned long long)n, SPAN_ARG(s->parsed.arg));
	else
		session_replyf(s, 251, none, "OK, no messages waiting for node %.*s",
			       SPAN_ARG(s->parsed.arg));
	return session_command_done(s);
}

enum session_next cmd_quit_apply(struct session *s)
{
	session_reply(s, 221, SMTP_ENHANCED(2, 0, 0), SPAN("Bye"));
	stream_consume(s->stream, s->line_octets);
	s->line_octets = 0;
	session_end(s, "quit");
	return NEXT_STEP;
}
