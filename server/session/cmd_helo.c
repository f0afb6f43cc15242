/* cmd_helo.c - HELO and EHLO (RFC 5321 section 4.1.1.1). */
#include <stdio.h>

#include "session/session_priv.h"

int cmd_helo_check(struct session *s)
{
	unsigned tolerated = 0;
	const char *why;
	struct span name;
	const int kind = smtp_helo_name_check(s->parsed.arg, session_lax(s), &name, &tolerated, &why);

	if (kind < 0)
		return session_refuse_protocol(s, 501, SMTP_ENHANCED(5, 5, 2), "helo-syntax", why);
	/* The policies see the new name, also when they refuse it. What the last HELO brought goes, unless it was a refusal that
	 * still waits for RCPT: who says HELO again and again after that fills the arena and is sent away. */
	if (!s->helo_mem)
		s->helo_mem = arena_new(SESSION_HELO_MEM_MAX);
	if (!s->helo_kept) {
		s->conn.helo = (struct span){ NULL, 0 };
		arena_reset(s->helo_mem);
		decision_path_init(&s->helo_path, s->helo_mem);
	}
	const struct span kept = arena_dup(s->helo_mem, name);
	if (!kept.p) {
		session_refuse_protocol(s, 421, SMTP_ENHANCED(4, 7, 0), "helo-again",
					"too many HELO commands");
		session_end(s, "helo-again");
		return 1;
	}
	s->conn.helo = kept;
	s->conn.esmtp = s->cmd->verb == SMTP_VERB_EHLO;
	return 0;
}

uint32_t session_ext(const struct session *s)
{
	const struct session_tls_config *tls = &s->listener->tls;
	uint32_t ext = s->listener->ext & ~(uint32_t)(SMTP_EXT_STARTTLS | SMTP_EXT_AUTH);

	if (!s->conn.tls && (tls->mode == SESSION_TLS_OPTIONAL || tls->mode == SESSION_TLS_REQUIRED))
		ext |= SMTP_EXT_STARTTLS & s->listener->ext; /* RFC 3207 section 4.2: not again under TLS */
	if (!s->conn.tls)
		ext &= ~(uint32_t)SMTP_EXT_REQUIRETLS; /* RFC 8689 section 2 */
	if (session_auth_offered(s))
		ext |= SMTP_EXT_AUTH & s->listener->ext;
	return ext & ~(s->profile ? s->profile->hide_ext : 0u);
}

static void add_mechanisms(const struct session *s, struct smtp_ehlo *ehlo)
{
	const uint32_t mechs = session_auth_offered(s);

	for (unsigned i = 0; i < AUTH_MECH_MAX_; i++)
		if (mechs & (1u << i))
			smtp_ehlo_add_mech(ehlo, span_of(auth_mech_name((enum auth_mech)i)));
}

void session_forget(struct session *s)
{
	session_msg_end(s);
	session_txn_end(s);
	session_auth_forget(s);
	if (s->refusal_stage == HOOK_HELO)
		s->refusal = (struct verdict){ 0 };
	s->helo_kept = false;
	s->conn.helo = (struct span){ NULL, 0 };
	s->conn.esmtp = false;
	s->profile = s->connect_profile;
	s->conn.profile = s->profile ? s->profile->name : (struct span){ NULL, 0 };
	s->conn.device = s->connect_device;
	if (s->helo_mem) {
		arena_reset(s->helo_mem);
		decision_path_init(&s->helo_path, s->helo_mem);
	}
	s->phase = SESSION_PHASE_HELO;
}

enum session_next cmd_helo_apply(struct session *s)
{
	const struct session_listener *l = s->listener;
	struct smtp_ehlo ehlo = { .ext = session_ext(s),
				  .size_octets_max = l->message_max_bytes,
				  .deliverby_min_s = l->deliverby_min_s };
	struct buf out = BUF_INIT(SMTP_REPLY_OCTETS_MAX);
	const bool auth_equals = l->auth.old_clients || (s->profile && s->profile->auth_old_clients);
	char hello[400];

	session_msg_end(s);
	session_txn_end(s); /* as RSET: RFC 5321 section 4.1.4 */
	s->phase = SESSION_PHASE_READY;
	/* The owner of a device sees by which name and address the relay knows it. */
	snprintf(hello, sizeof hello, "Hello %.*s [%s]",
		 SPAN_ARG(s->conn.reverse == VIEW_REVERSE_PASS ? s->conn.reverse_name : s->conn.helo),
		 ip_format(&s->conn.client.addr).s);
	if (s->cmd->verb == SMTP_VERB_HELO) {
		session_replyf(s, 250, (struct smtp_enhanced){ 0 }, "%.*s %s", SPAN_ARG(l->hostname), hello);
		return session_command_done(s);
	}
	snprintf(ehlo.name, sizeof ehlo.name, "%.*s", SPAN_ARG(l->hostname));
	add_mechanisms(s, &ehlo);
	if (smtp_ehlo_format(&ehlo, span_of(hello), auth_equals, &out) && s->stream)
		stream_write(s->stream, buf_span(&out));
	buf_free(&out);
	return session_command_done(s);
}
