/* cmd_starttls.c - STARTTLS (RFC 3207). The handshake is session_tls.c's. */
#include "session/session_priv.h"

int cmd_starttls_check(struct session *s)
{
	if (s->conn.tls)
		return session_refuse_protocol(s, 503, SMTP_ENHANCED(5, 5, 1), "tls-active",
					       "this connection is under TLS already");
	if (!(session_ext(s) & SMTP_EXT_STARTTLS))
		return session_refuse_protocol(s, 502, SMTP_ENHANCED(5, 5, 1), "starttls-not-offered",
					       "STARTTLS is not offered here");
	return 0;
}

enum session_next cmd_starttls_apply(struct session *s)
{
	session_reply(s, 220, SMTP_ENHANCED(2, 0, 0), SPAN("Ready to start TLS"));
	session_consume(s, s->line_octets);
	s->line_octets = 0;
	s->cmd = NULL;
	session_forget(s);
	session_tls_start(s, SESSION_STEP_READ);
	return NEXT_STEP;
}
