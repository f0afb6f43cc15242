/* auth/auth_client_simple.c - mechanisms that send what they have: PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login),
 * OAUTHBEARER (RFC 7628) and XOAUTH2 (as Google and Microsoft describe it).
 */
#include <stdio.h>

#include "auth/auth_client_priv.h"
#include "auth/auth_oauth_answer.h"
#include "base/check.h"

static struct span user_of(const struct auth_client_state *st)
{
	return st->x->credential->cfg.user;
}

/* Room for all of it at once, so that it does not move and leave a copy behind. */
static void make_room(struct auth_client_state *st, size_t secret_octets)
{
	buf_reset(&st->out);
	buf_reserve(&st->out, secret_octets + 4 * AUTH_USER_MAX);
}

/* Nothing more was to be said: RFC 4954 section 4 has the client end it. */
static enum auth_client_said out_of_place(struct auth_client_state *st, struct span in)
{
	(void)in;
	return auth_client_fail(st, false, "AUTH %s: the server asks for more than the mechanism has",
				st->x->mech);
}

/* ---- PLAIN --------------------------------------------------------------------------------------------------------- */

static enum auth_client_said plain_begin(struct auth_client_state *st)
{
	auth_credential_password(st->x->credential, &st->password);
	const struct span password = secret_span(&st->password);
	if (!password.n)
		return auth_client_fail(st, true, "AUTH PLAIN: the password is empty");
	make_room(st, password.n);
	buf_add_span(&st->out, st->x->credential->cfg.authzid);
	buf_add_char(&st->out, 0);
	buf_add_span(&st->out, user_of(st));
	buf_add_char(&st->out, 0);
	buf_add_span(&st->out, password);
	return AUTH_CLIENT_SAID;
}

const struct auth_client_how auth_client_plain = { .begin = plain_begin, .challenge = out_of_place };

/* ---- LOGIN --------------------------------------------------------------------------------------------------------- */

static enum auth_client_said login_begin(struct auth_client_state *st)
{
	(void)st;
	return AUTH_CLIENT_BEGUN; /* not all servers take a user's name with AUTH LOGIN */
}

/* Whatever the challenges say: servers write "Username:", "User Name" and other things. */
static enum auth_client_said login_challenge(struct auth_client_state *st, struct span in)
{
	if (st->challenges == 1) {
		make_room(st, 0);
		buf_add_span(&st->out, user_of(st));
		return AUTH_CLIENT_SAID;
	}
	if (st->challenges > 2)
		return out_of_place(st, in);
	auth_credential_password(st->x->credential, &st->password);
	const struct span password = secret_span(&st->password);
	if (!password.n)
		return auth_client_fail(st, true, "AUTH LOGIN: the password is empty");
	make_room(st, password.n);
	buf_add_span(&st->out, password);
	return AUTH_CLIENT_SAID;
}

const struct auth_client_how auth_client_login = { .begin = login_begin, .challenge = login_challenge };

/* ---- OAUTHBEARER, XOAUTH2 ------------------------------------------------------------------------------------------ */

/* "," and "=" are not for names in there (RFC 5801 section 4). */
static void add_saslname(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == ',' || s.p[i] == '=')
			buf_add_str(out, s.p[i] == ',' ? "=2C" : "=3D");
		else
			buf_add_char(out, s.p[i]);
	}
}

/* RFC 7628 section 3.1; a server behind one address may look at host and port. */
static void add_oauthbearer(struct auth_client_state *st, struct span token)
{
	const struct auth_client_channel *channel = &st->x->channel;

	buf_add_str(&st->out, "n,a=");
	add_saslname(&st->out, user_of(st));
	buf_add_str(&st->out, ",\001");
	if (channel->host.n) {
		buf_add_str(&st->out, "host=");
		buf_add_span(&st->out, channel->host);
		buf_add_str(&st->out, "\001port=");
		buf_add_u64(&st->out, channel->port);
		buf_add_char(&st->out, 1);
	}
	buf_add_str(&st->out, "auth=Bearer ");
	buf_add_span(&st->out, token);
	buf_add_str(&st->out, "\001\001");
}

static void add_xoauth2(struct auth_client_state *st, struct span token)
{
	buf_add_str(&st->out, "user=");
	buf_add_span(&st->out, user_of(st));
	buf_add_str(&st->out, "\001auth=Bearer ");
	buf_add_span(&st->out, token);
	buf_add_str(&st->out, "\001\001");
}

static enum auth_client_said with_token(struct auth_client_state *st)
{
	const struct span token = secret_span(&st->token.token);

	if (st->token.status < 0)
		return auth_client_fail(st, st->token.permanent, "AUTH %s: %s", st->x->mech, st->token.why);
	make_room(st, token.n + st->x->channel.host.n);
	if (st->mech == AUTH_CLIENT_MECH_OAUTHBEARER)
		add_oauthbearer(st, token);
	else
		add_xoauth2(st, token);
	secret_deinit(&st->token.token);
	return AUTH_CLIENT_SAID;
}

/* A token that came too late, for an exchange that was given up while the letter was on its way, is of no use. */
static void on_token(struct auth_token_wait *w)
{
	struct auth_client_state *st = container_of(w, struct auth_client_state, token);

	auth_client_go_on(st, with_token(st));
}

static enum auth_client_said bearer_begin(struct auth_client_state *st)
{
	st->waiting_for = "the token";
	auth_token_wait_init(&st->token, on_token);
	if (auth_token_get(auth_credential_token(st->x->credential), st->loop, &st->token) == 0)
		return AUTH_CLIENT_WAITS;
	return with_token(st);
}

/* The only challenge is the word on a token that is not taken. It must be answered before the server says 535: with nothing in
 * XOAUTH2, with ^A in OAUTHBEARER (RFC 7628 section 3.2.3). */
static enum auth_client_said bearer_challenge(struct auth_client_state *st, struct span in)
{
	if (st->refusal[0])
		return out_of_place(st, in);
	auth_oauth_challenge_explain(in, st->refusal, sizeof st->refusal);
	buf_reset(&st->out);
	if (st->mech == AUTH_CLIENT_MECH_OAUTHBEARER)
		buf_add_char(&st->out, 1);
	return AUTH_CLIENT_SAID;
}

static bool bearer_leave(struct auth_client_state *st)
{
	return auth_token_leave(auth_credential_token(st->x->credential), &st->token);
}

const struct auth_client_how auth_client_bearer = { .begin = bearer_begin,
						    .challenge = bearer_challenge,
						    .leave = bearer_leave };
