/* cmd_auth.c - AUTH (RFC 4954): may it be said here and now? The exchange is session_auth.c's. */
#include "session/session_priv.h"

/* A device that sends credentials to a relay that wants none can go on without them. */
static int not_offered(struct session *s)
{
	return session_refuse_protocol(s, 503, SMTP_ENHANCED(5, 5, 1), "auth-not-offered",
				       "AUTH is not offered here; leave user name and password empty");
}

int cmd_auth_check(struct session *s)
{
	if (!s->listener->auth.server || (s->profile && (s->profile->hide_ext & SMTP_EXT_AUTH)))
		return not_offered(s);
	if (s->conn.auth_user.n)
		return session_refuse_protocol(s, 503, SMTP_ENHANCED(5, 5, 1), "auth-again",
					       "you are authenticated already");
	if (s->phase == SESSION_PHASE_HELO)
		return session_refuse_protocol(s, 503, SMTP_ENHANCED(5, 5, 1), "sequence",
					       "say EHLO or HELO first");
	if (s->phase != SESSION_PHASE_READY)
		return session_refuse_protocol(s, 503, SMTP_ENHANCED(5, 5, 1), "sequence",
					       "not within a transaction; RSET ends it");
	return session_auth_refuse_now(s);
}

enum session_next cmd_auth_apply(struct session *s)
{
	struct span rest = s->parsed.arg;
	const struct span mechanism = span_cut(&rest, ' ');

	session_auth_start(s, mechanism, rest.p ? span_trim(rest) : (struct span){ NULL, 0 });
	return NEXT_STEP;
}
