/* The happy path from the greeting to READY:
 *
 *   1. GREETING: 220
 *   2. EHLO: its reply is what the peer offers
 *   3. STARTTLS: 220. HANDSHAKE is the driver's; then EHLO anew, and only what that says counts
 *   4. AUTH: the command, a response to each 334, 235
 *   5. READY
 * How it goes wrong:
 *   greeting, or EHLO and HELO, refused   `failure` has the reply, QUIT is said, CLOSED
 *   a greeting that is not 220            out of place: whoever says 250 or 235 unasked wants to be believed something
 *   EHLO refused with 5yz                 HELO, and no extensions
 *   no STARTTLS, or it is refused         on in the clear if it is not required; else 4.7.4, QUIT
 *   the handshake fails                   the driver tells smtp_client_lost()
 *   no AUTH, or it is refused             `failure` is of the step AUTH; QUIT
 *   we give AUTH up                       "*", the server's word on it, QUIT
 */
#include "smtp/smtp_client_priv.h"

#include <stdio.h>

#include "base/check.h"
#include "base/err.h"

enum { CODE_READY = 220 };

/* ---- endings
 * -------------------------------------------------------------------------------------------------- */

/* Nothing more is wanted of this server: QUIT, as it has to hear (RFC 5321 section 3.1). */
static int leave(struct smtp_client *c, const struct smtp_result *why)
{
	smtp_client_set_failure(c, why);
	c->said = false;
	c->auth_open = false;
	c->auth_challenge = (struct span){ NULL, 0 };
	c->state = SMTP_CLIENT_IN_QUIT;
	return 0;
}

static int leave_as_refused(struct smtp_client *c, const struct smtp_reply *reply,
			    enum smtp_reply_class class)
{
	const struct smtp_result r =
		smtp_client_result(c, reply, class == SMTP_REPLY_PERM ? SMTP_RESULT_PERM : SMTP_RESULT_TEMP);

	return leave(c, &r);
}

static int leave_without_tls(struct smtp_client *c, unsigned code, const char *why, struct span said)
{
	char text[SMTP_RESULT_TEXT_MAX];
	const int n =
		snprintf(text, sizeof text, "TLS is required, but the server %s%.*s", why, SPAN_ARG(said));
	const struct smtp_result r = {
		.kind = SMTP_RESULT_TEMP,
		.step = SMTP_STEP_STARTTLS,
		.code = code,
		.enhanced = SMTP_ENHANCED(4, 7, 4),
		.text = span_make(text, n < 0                     ? 0
					: (size_t)n < sizeof text ? (size_t)n
								  : sizeof text - 1),
	};

	c->tls_required = true;
	return leave(c, &r);
}

/* ---- what to send
 * --------------------------------------------------------------------------------------------- */

enum smtp_client_action smtp_client_opening_next(struct smtp_client *c, struct buf *out)
{
	switch (c->state) {
	case SMTP_CLIENT_IN_EHLO:
		smtp_client_say(c, out, "EHLO", c->cfg.name);
		return SMTP_CLIENT_WAIT;
	case SMTP_CLIENT_IN_HELO:
		smtp_client_say(c, out, "HELO", c->cfg.name);
		return SMTP_CLIENT_WAIT;
	case SMTP_CLIENT_IN_STARTTLS:
		smtp_client_say(c, out, "STARTTLS", SPAN(""));
		return SMTP_CLIENT_WAIT;
	case SMTP_CLIENT_IN_HANDSHAKE:
		return SMTP_CLIENT_STARTTLS;
	case SMTP_CLIENT_IN_AUTH:
		return c->in_flight ? SMTP_CLIENT_WAIT : SMTP_CLIENT_AUTH;
	default:
		return SMTP_CLIENT_WAIT;
	}
}

/* ---- EHLO and what follows from it
 * ---------------------------------------------------------------------------- */

/* TLS is there or not wanted: who we are. */
static int to_auth(struct smtp_client *c)
{
	static const struct smtp_result none = {
		.kind = SMTP_RESULT_TEMP,
		.step = SMTP_STEP_AUTH,
		.enhanced = { 4, 7, 0 },
		.text = SPAN_INIT("the server offers no authentication"),
	};

	if (!c->cfg.auth) {
		c->state = SMTP_CLIENT_IN_READY;
		return 0;
	}
	if (!(c->peer.ext & SMTP_EXT_AUTH))
		return leave(c, &none);
	c->state = SMTP_CLIENT_IN_AUTH;
	return 0;
}

/* EHLO, or HELO, was accepted: the peer is known. */
static int hello_done(struct smtp_client *c, const struct smtp_reply *reply)
{
	smtp_ehlo_parse(reply, &c->peer);
	if (c->state == SMTP_CLIENT_IN_HELO)
		c->peer.ext = 0;
	c->peer.ext &= ~c->cfg.hide_ext;
	if (c->tls)
		return to_auth(c);
	c->tls_offered = c->peer.ext & SMTP_EXT_STARTTLS;
	if (c->cfg.starttls == SMTP_CLIENT_TLS_NEVER)
		return to_auth(c);
	if (c->tls_offered) {
		c->state = SMTP_CLIENT_IN_STARTTLS;
		return 0;
	}
	if (c->cfg.starttls == SMTP_CLIENT_TLS_REQUIRED)
		return leave_without_tls(c, 0, "does not offer STARTTLS", SPAN(""));
	return to_auth(c);
}

static int reply_to_hello(struct smtp_client *c, const struct smtp_reply *reply, enum smtp_reply_class class)
{
	if (class == SMTP_REPLY_OK)
		return hello_done(c, reply);
	/* RFC 5321 section 3.2: fall back; whichever 5yz it was, the reply to HELO will show what is
	 * meant. */
	if (class == SMTP_REPLY_PERM && c->state == SMTP_CLIENT_IN_EHLO) {
		c->state = SMTP_CLIENT_IN_HELO;
		return 0;
	}
	return leave_as_refused(c, reply, class);
}

static int reply_to_greeting(struct smtp_client *c, const struct smtp_reply *reply,
			     enum smtp_reply_class class)
{
	if (class != SMTP_REPLY_OK)
		return leave_as_refused(c, reply, class);
	/* RFC 5321 section 4.3.2: 220 it is. */
	if (reply->code != CODE_READY)
		return smtp_client_out_of_place(c, "greeting is not 220");
	c->state = c->cfg.helo_only ? SMTP_CLIENT_IN_HELO : SMTP_CLIENT_IN_EHLO;
	return 0;
}

/* ---- STARTTLS
 * ------------------------------------------------------------------------------------------------- */

static int reply_to_starttls(struct smtp_client *c, const struct smtp_reply *reply,
			     enum smtp_reply_class class)
{
	if (class == SMTP_REPLY_OK && reply->code != CODE_READY)
		return smtp_client_out_of_place(c, "STARTTLS was answered with something else than 220");
	if (class == SMTP_REPLY_OK) {
		c->state = SMTP_CLIENT_IN_HANDSHAKE;
		return 1;
	}
	/* RFC 3207 section 4: it is ours whether to go on. */
	if (c->cfg.starttls == SMTP_CLIENT_TLS_REQUIRED)
		return leave_without_tls(c, reply->code, "refuses STARTTLS: ", reply->text);
	return to_auth(c);
}

void smtp_client_tls_done(struct smtp_client *c, bool secure)
{
	require(c->state == SMTP_CLIENT_IN_HANDSHAKE);
	c->tls = true;
	c->secure = secure;
	/* RFC 3207 section 4.2: nothing that was learnt before is known any more. */
	c->peer = (struct smtp_ehlo){ 0 };
	c->said = false;
	c->state = SMTP_CLIENT_IN_EHLO;
}

/* ---- AUTH
 * ----------------------------------------------------------------------------------------------------- */

static bool is_base64(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '+' && s.p[i] != '/' && s.p[i] != '=')
			return false;
	return true;
}

bool smtp_client_auth_send(struct smtp_client *c, struct span mech, struct span initial, struct buf *out)
{
	require(c->state == SMTP_CLIENT_IN_AUTH && c->in_flight == 0 && !c->auth_open);
	/* RFC 4954 section 4: an empty response is a "=". */
	if (initial.p && initial.n == 0)
		initial = SPAN("=");
	const size_t octets = strlen("AUTH \r\n") + mech.n + (initial.p ? 1 + initial.n : 0);
	if (octets > SMTP_CLIENT_COMMAND_MAX || !is_base64(initial))
		return false;
	require(out->max - out->n >= octets && !out->overflow);
	buf_add_str(out, "AUTH ");
	buf_add_span(out, mech);
	if (initial.p)
		buf_add_char(out, ' ');
	buf_add_span(out, initial);
	buf_add(out, "\r\n", 2);
	c->in_flight++;
	return true;
}

bool smtp_client_auth_next(struct smtp_client *c, struct span response, struct buf *out)
{
	require(c->state == SMTP_CLIENT_IN_AUTH && c->auth_open);
	if (response.n > SMTP_CLIENT_RESPONSE_MAX || !is_base64(response))
		return false;
	require(out->max - out->n >= response.n + 2 && !out->overflow);
	buf_add_span(out, response);
	buf_add(out, "\r\n", 2);
	c->auth_open = false;
	c->auth_challenge = (struct span){ NULL, 0 };
	c->in_flight++;
	return true;
}

void smtp_client_auth_abort(struct smtp_client *c, struct smtp_enhanced enhanced, const char *why,
			    struct buf *out)
{
	const struct smtp_result r = {
		.kind = SMTP_RESULT_TEMP,
		.step = SMTP_STEP_AUTH,
		.enhanced = { 4, enhanced.subject, enhanced.detail },
		.text = span_of(why),
	};

	if (c->state != SMTP_CLIENT_IN_AUTH)
		return; /* it was lost meanwhile */
	smtp_client_set_failure(c, &r);
	if (!c->auth_open) {
		leave(c, &r);
		return;
	}
	buf_add_str(out, "*\r\n"); /* RFC 4954 section 4; the server says 501 */
	c->auth_open = false;
	c->auth_challenge = (struct span){ NULL, 0 };
	c->aborted = true;
	c->in_flight++;
}

static int reply_to_auth(struct smtp_client *c, const struct smtp_reply *reply, enum smtp_reply_class class)
{
	if (c->aborted)
		return leave(c, &c->failure);
	if (class == SMTP_REPLY_MORE) {
		c->auth_open = true;
		c->auth_challenge = span_trim(reply->text);
		return 1;
	}
	if (class != SMTP_REPLY_OK)
		return leave_as_refused(c, reply, class);
	c->state = SMTP_CLIENT_IN_READY;
	return 0;
}

/* ---- what was answered
 * ---------------------------------------------------------------------------------------- */

int smtp_client_opening_reply(struct smtp_client *c, const struct smtp_reply *reply,
			      enum smtp_reply_class class)
{
	if (c->in_flight == 0)
		return smtp_client_out_of_place(c, "more replies than commands");
	if (class == SMTP_REPLY_MORE && c->state != SMTP_CLIENT_IN_AUTH)
		return smtp_client_out_of_place(c, "unexpected intermediate reply");
	c->in_flight--;
	c->said = false;
	switch (c->state) {
	case SMTP_CLIENT_IN_GREETING:
		return reply_to_greeting(c, reply, class);
	case SMTP_CLIENT_IN_STARTTLS:
		return reply_to_starttls(c, reply, class);
	case SMTP_CLIENT_IN_AUTH:
		return reply_to_auth(c, reply, class);
	default:
		return reply_to_hello(c, reply, class);
	}
}
