/* Happy path:
 *
 *   1. start: is the channel good enough; which mechanism; its begin()
 *   2. begin() has a response at once, or after a token, a key or a ticket has come (auth_client_go_on)
 *   3. the response becomes base64 and is handed out, or kept for the first challenge if AUTH's line would be too long
 *   4. next, for each challenge: base64 undone, the mechanism's challenge(), 3 again
 *   5. accepted: does the mechanism know that it was the right server?
 *
 * Whatever fails is FAILED with words; an exchange that is open is ended by "*" then (abort). A deadline or a cancel while
 * something is waited for leaves it behind: tokens and tickets come for the others, and the op is over at once.
 */
#include "auth/auth_client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth_client_priv.h"
#include "base/base64.h"
#include "base/check.h"
#include "base/mem.h"
#include "tls/tls_digest.h"

enum {
	LINE_MAX = 512,        /* of AUTH with all that is in it: RFC 4954 section 4 */
	CHALLENGE_MAX = 12288, /* likewise: of a line within the exchange */
	CHALLENGES_MAX = 8,
	HIDE_MIN = 4, /* shorter passwords are found in any text */
	SHOWN_OCTETS = 8,
};

/* ---- words ------------------------------------------------------------------------------------------------------ */

enum auth_client_said auth_client_fail(struct auth_client_state *st, bool permanent, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(st->x->why, sizeof st->x->why, fmt, ap);
	va_end(ap);
	st->x->permanent = permanent;
	return AUTH_CLIENT_FAIL;
}

bool auth_client_shows(const struct auth_client *x, struct span words)
{
	struct secret password = { 0 };

	auth_credential_password(x->credential, &password);
	/* Its beginning is enough: the words may have been cut. */
	const struct span s = span_first(secret_span(&password), SHOWN_OCTETS);
	const bool shows = s.n >= HIDE_MIN && span_find(words, s) >= 0;
	secret_deinit(&password);
	return shows;
}

static void censor(struct auth_client *x)
{
	if (auth_client_shows(x, span_of(x->why)))
		snprintf(x->why, sizeof x->why, "AUTH %s failed, and the server's words hold the password",
			 x->mech ? x->mech : "");
}

/* ---- choosing ---------------------------------------------------------------------------------------------------- */

struct span auth_client_binding(const struct auth_client_channel *channel, uint8_t *out, size_t max,
				size_t *n_r)
{
	/* RFC 9266 for TLS 1.3; before it the binding to the certificate, which every server can compute (RFC 5929 section 4). */
	static const struct span types[] = { SPAN_INIT("tls-exporter"), SPAN_INIT("tls-server-end-point") };

	for (size_t i = 0; channel->binding && i < ARRAY_LEN(types); i++) {
		const int n = channel->binding(channel->arg, types[i], out, max);
		if (n > 0) {
			*n_r = (size_t)n;
			return types[i];
		}
	}
	*n_r = 0;
	return SPAN("");
}

static uint32_t parse_offered(struct span offered)
{
	uint32_t mechs = 0;

	while (offered.p) {
		enum auth_client_mech mech;
		if (auth_client_mech_parse(span_cut(&offered, ' '), &mech) == 0)
			mechs |= UINT32_C(1) << mech;
	}
	return mechs;
}

static void list_mechs(uint32_t mechs, char *text, size_t max)
{
	size_t n = 0;

	text[0] = 0;
	for (unsigned i = 0; i < AUTH_CLIENT_MECH_MAX_; i++)
		if (mechs & UINT32_C(1) << i && n < max)
			n += (size_t)snprintf(text + n, max - n, "%s%s", n ? " " : "",
					      auth_client_mech_name((enum auth_client_mech)i));
}

static const struct auth_client_how *how_of(enum auth_client_mech mech)
{
	switch (mech) {
	case AUTH_CLIENT_MECH_SCRAM_SHA_256_PLUS:
	case AUTH_CLIENT_MECH_SCRAM_SHA_256:
		return &auth_client_scram;
	case AUTH_CLIENT_MECH_GSSAPI:
		return &auth_client_gssapi;
	case AUTH_CLIENT_MECH_OAUTHBEARER:
	case AUTH_CLIENT_MECH_XOAUTH2:
		return &auth_client_bearer;
	case AUTH_CLIENT_MECH_PLAIN:
		return &auth_client_plain;
	case AUTH_CLIENT_MECH_LOGIN:
	case AUTH_CLIENT_MECH_MAX_:
		break;
	}
	return &auth_client_login;
}

/* The printable octets of @s, at most @max - 1. */
static void copy_words(char *to, size_t max, struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n && n + 1 < max; i++)
		to[n++] = (char)(s.p[i] >= ' ' && s.p[i] < 127 ? s.p[i] : ' ');
	to[n] = 0;
}

static enum auth_client_said choose(struct auth_client_state *st, struct span offered)
{
	struct auth_client *x = st->x;
	uint32_t able = auth_credential_mechs(x->credential);
	uint8_t binding[AUTH_SCRAM_BINDING_MAX];
	char ours[120], theirs[120];
	size_t n;

	(void)auth_client_binding(&x->channel, binding, sizeof binding, &n);
	tls_wipe(binding, sizeof binding);
	if (!n)
		able &= ~(UINT32_C(1) << AUTH_CLIENT_MECH_SCRAM_SHA_256_PLUS);
	const uint32_t common = able & parse_offered(offered);
	if (!common) {
		list_mechs(able, ours, sizeof ours);
		copy_words(theirs, sizeof theirs, span_trim(offered));
		if (!theirs[0])
			return auth_client_fail(st, true,
						"the server offers no AUTH; is this the right port?");
		return auth_client_fail(
			st, true, "no mechanism in common: the server offers %s, we can do %s", theirs, ours);
	}
	st->mech = (enum auth_client_mech)__builtin_ctz(common);
	st->how = how_of(st->mech);
	x->mech = auth_client_mech_name(st->mech);
	return AUTH_CLIENT_SAID;
}

/* ---- the exchange ------------------------------------------------------------------------------------------------ */

/* A response is ready to go. */
static void hand_out(struct auth_client_state *st, bool begins)
{
	struct auth_client *x = st->x;

	buf_wipe(&st->text);
	buf_reserve(&st->text, BASE64_LEN(st->out.n) + 1);
	require(base64_encode(&st->text, buf_span(&st->out)) || st->text.overflow);
	buf_wipe(&st->out);
	x->result = AUTH_CLIENT_SEND;
	x->response = buf_span(&st->text);
	x->has_response = true;
	/* "AUTH ", the mechanism, a space, CRLF; an empty response is "=" there. */
	if (begins && 5 + strlen(x->mech) + 1 + st->text.n + 2 > LINE_MAX) {
		st->withheld = true;
		x->has_response = false;
		x->response = SPAN("");
	}
}

static void settle(struct auth_client_state *st, enum auth_client_said said)
{
	struct auth_client *x = st->x;
	const bool begins = st->challenges == 0;

	if (said == AUTH_CLIENT_SAID && (st->out.overflow || st->out.n > CHALLENGE_MAX / 4 * 3))
		said = auth_client_fail(
			st, true, "AUTH %s: the response has more octets than a line may have", x->mech);
	if (said == AUTH_CLIENT_SAID) {
		hand_out(st, begins);
	} else if (said == AUTH_CLIENT_BEGUN) {
		x->result = AUTH_CLIENT_SEND;
		x->has_response = false;
		x->response = SPAN("");
	} else {
		censor(x);
		x->result = AUTH_CLIENT_FAILED;
		x->abort = !begins;
		x->has_response = false;
		x->response = SPAN("");
	}
}

static void end(struct auth_client_state *st, enum auth_client_said said)
{
	st->waits = said == AUTH_CLIENT_WAITS;
	if (st->waits)
		return;
	settle(st, said);
	op_complete(&st->x->op, 0);
}

void auth_client_go_on(struct auth_client_state *st, enum auth_client_said said)
{
	end(st, said);
}

static void on_cancel(struct op *op)
{
	struct auth_client *x = container_of(op, struct auth_client, op);
	struct auth_client_state *st = x->state_;

	auth_client_fail(st, false, "AUTH %s: %s took too long", x->mech ? x->mech : "", st->waiting_for);
	x->result = AUTH_CLIENT_FAILED;
	x->abort = st->challenges > 0;
	/* Nothing is waited for when the answer is there and only done() is to come. */
	if (!st->waits || st->how->leave(st)) {
		st->waits = false;
		op_complete(op, -ERR_CANCELED);
	}
}

void auth_client_init(struct auth_client *x, struct auth_credential *credential,
		      const struct auth_client_channel *channel, void (*done)(struct op *op))
{
	*x = (struct auth_client){ .credential = auth_credential_ref(credential), .channel = *channel };
	op_init(&x->op, done);
}

static struct auth_client_state *state_new(struct auth_client *x)
{
	struct auth_client_state *st = mem_alloc(sizeof *st);

	st->x = x;
	st->waiting_for = "it";
	st->in = BUF_INIT(CHALLENGE_MAX);
	st->out = BUF_INIT(AUTH_CLIENT_OUT_MAX);
	st->text = BUF_INIT(BASE64_LEN(AUTH_CLIENT_OUT_MAX) + 1);
	st->salt = BUF_INIT(AUTH_SCRAM_MESSAGE_MAX);
	auth_scram_init(&st->scram);
	snprintf(st->host, sizeof st->host, "%.*s", SPAN_ARG(x->channel.host));
	x->channel.host = span_of(st->host);
	return st;
}

static enum auth_client_said begin(struct auth_client_state *st, struct span offered)
{
	struct auth_client *x = st->x;

	/* Also SCRAM and GSSAPI show no password to a stranger in the middle, but the session would be his. */
	if (!x->channel.verified && !auth_credential_allows_unverified(x->credential))
		return auth_client_fail(
			st, true,
			"AUTH: the credentials stay here: %s; set tls = \"verify\" for this route, or "
			"auth_unverified = true",
			x->channel.tls ? "the server's certificate was not verified" : "there is no TLS");
	const enum auth_client_said said = choose(st, offered);
	return said == AUTH_CLIENT_SAID ? st->how->begin(st) : said;
}

int auth_client_start(struct auth_client *x, struct scope *scope, struct span offered, int64_t deadline_us)
{
	require(!x->state_);
	const int err = op_begin(&x->op, scope, "auth", deadline_us, on_cancel);

	if (err < 0)
		return err;
	struct auth_client_state *st = x->state_ = state_new(x);
	st->loop = scope->loop;
	end(st, begin(st, offered));
	return 0;
}

static enum auth_client_said answer(struct auth_client_state *st, struct span challenge)
{
	struct auth_client *x = st->x;

	if (st->challenges++ >= CHALLENGES_MAX)
		return auth_client_fail(st, false, "AUTH %s: the server does not come to an end", x->mech);
	if (st->withheld) {
		/* Whatever it says, it is what the initial response was kept for. */
		st->withheld = false;
		buf_reset(&st->out);
		if (base64_decode(&st->out, buf_span(&st->text)) < 0)
			return auth_client_fail(st, false, "AUTH %s: out of order", x->mech);
		return AUTH_CLIENT_SAID;
	}
	buf_reset(&st->in);
	if (challenge.n > CHALLENGE_MAX || base64_decode(&st->in, challenge) < 0)
		return auth_client_fail(st, false, "AUTH %s: the server's challenge is too long or no base64",
					x->mech);
	return st->how->challenge(st, buf_span(&st->in));
}

int auth_client_next(struct auth_client *x, struct scope *scope, struct span challenge, int64_t deadline_us)
{
	struct auth_client_state *st = x->state_;

	require(st && st->how);
	const int err = op_begin(&x->op, scope, "auth", deadline_us, on_cancel);
	if (err < 0)
		return err;
	end(st, answer(st, challenge));
	return 0;
}

/* ---- how it ended ------------------------------------------------------------------------------------------------- */

int auth_client_accepted(struct auth_client *x)
{
	struct auth_client_state *st = x->state_;

	if (!st || !st->how || !st->how->proven || st->how->proven(st))
		return 0;
	x->permanent = true;
	return -ERR_DENIED;
}

struct hint {
	struct span begins; /* of the text behind the code */
	const char *words;
};

/* What large providers mean by their refusals. */
static const struct hint hints[] = {
	{ SPAN_INIT("5.7.139"), "SMTP AUTH is switched off for the mailbox or the tenant" },
	{ SPAN_INIT("5.7.3"),
	  "is the app's service principal registered in Exchange and may it send as this user, and is SMTP AUTH on?" },
	{ SPAN_INIT("5.7.9"), "the provider wants an application password or OAuth for this account" },
	{ SPAN_INIT("5.5.124"), "the provider does not take the user's name or the form of the token" },
	{ SPAN_INIT("5.7.57"), "the provider did not take the login as one" },
};

static const char *hint_for(struct span text)
{
	for (size_t i = 0; i < ARRAY_LEN(hints); i++)
		if (span_starts(text, hints[i].begins) &&
		    (text.n == hints[i].begins.n || text.p[hints[i].begins.n] == ' '))
			return hints[i].words;
	return NULL;
}

void auth_client_refused(struct auth_client *x, int code, struct span text)
{
	struct auth_client_state *st = x->state_;
	char words[120], as[60];

	if (!st || !st->how)
		return;
	copy_words(words, sizeof words, text);
	copy_words(as, sizeof as, auth_credential_user(x->credential));
	const char *hint = st->refusal[0] ? st->refusal : hint_for(text);
	x->result = AUTH_CLIENT_FAILED;
	auth_client_fail(st, code >= 500, "AUTH %s as %s refused: %d %s%s%s%s", x->mech, as, code, words,
			 hint ? " (" : "", hint ? hint : "", hint ? ")" : "");
	censor(x);
	if (code >= 500 && st->token.generation)
		auth_token_refused(auth_credential_token(x->credential), st->token.generation, st->loop);
}

void auth_client_deinit(struct auth_client *x)
{
	struct auth_client_state *st = x->state_;

	require(!op_pending(&x->op));
	auth_credential_unref(&x->credential);
	x->response = SPAN("");
	if (!st)
		return;
	x->state_ = NULL;
	if (st->how && st->how->deinit)
		st->how->deinit(st);
	auth_scram_deinit(&st->scram);
	auth_token_wait_deinit(&st->token);
	secret_deinit(&st->password);
	buf_wipe(&st->in);
	buf_wipe(&st->out);
	buf_wipe(&st->text);
	buf_wipe(&st->salt);
	tls_wipe(st->binding, sizeof st->binding);
	free(st);
}
