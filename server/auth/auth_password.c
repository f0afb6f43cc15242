/* Mechanisms that have the password in clear ask those who can say whether it is right:
 *
 *   1. the name is taken down, if it can be anybody's, and the caller is asked whether it may be tried now
 *   2. the first backend is asked; UNKNOWN_HERE: the next one; the first other answer decides
 *
 * It fails when a backend is busy or cannot say (temporary: the next one is not asked, for it would say "unknown" of a name that is
 * another's), and when all say that they do not know the name.
 */
#include <stdio.h>
#include <sys/auxv.h>

#include "auth/auth_priv.h"
#include "auth/auth_saslprep.h"
#include "base/utf8.h"
#include "tls/tls_digest.h"

enum { PASSWORD_MAX = 1024 };

/* The kernel gives each process 16 random octets when it begins, so there is a secret of the process without a place to keep
 * one. */
int auth_process_key(const char *use, uint8_t key[32])
{
	const void *random = (const void *)getauxval(AT_RANDOM);

	if (!random)
		return -ERR_UNSUPPORTED;
	return tls_hmac(TLS_DIGEST_SHA256, span_make(random, 16), span_of(use), key);
}

/* ---- names --------------------------------------------------------------------------------------------- */

static bool is_control(struct span ch)
{
	const uint8_t a = (uint8_t)ch.p[0];

	return ch.n == 1 ? a < 0x20 || a == 0x7f : ch.n == 2 && a == 0xc2 && (uint8_t)ch.p[1] < 0xa0;
}

static bool is_name(struct span s)
{
	while (s.n) {
		const size_t n = utf8_char_len(s);
		if (n == 0 || is_control(span_first(s, n)))
			return false;
		s = span_skip(s, n);
	}
	return true;
}

/* What can be printed of it, for the log. */
static void note_tried(struct auth_exchange *x, struct span s)
{
	struct auth_state *st = x->state_;
	size_t at = 0;

	while (s.n && at + 4 <= sizeof st->tried) {
		const size_t n = utf8_char_len(s);
		if (n == 0 || is_control(span_first(s, n))) {
			st->tried[at++] = '?';
		} else {
			memcpy(st->tried + at, s.p, n);
			at += n;
		}
		s = span_skip(s, n ? n : 1);
	}
	x->tried = span_make(st->tried, at);
}

static bool name_set(struct auth_name *name, struct span s)
{
	if (s.n >= sizeof name->s || !is_name(s))
		return false;
	if (s.n)
		memcpy(name->s, s.p, s.n);
	name->n = s.n;
	return true;
}

/* A short name for a long one, wherever the long one is known. A name that a guesser spells with letters that count for nothing is
 * the same account. */
static void find_account(struct auth_exchange *x, struct span typed)
{
	struct auth_state *st = x->state_;
	struct buf name = BUF_INIT(AUTH_USER_MAX);
	char to[AUTH_USER_MAX];

	if (auth_saslprep(typed, &name) < 0)
		buf_reset(&name);
	(void)name_set(&st->account, name.n ? buf_span(&name) : typed);
	for (unsigned i = 0; name.n && i < x->server->nbackends; i++) {
		struct auth_backend *b = x->server->backend[i];
		if (b->ops->alias && b->ops->alias(b, buf_span(&name), to)) {
			(void)name_set(&st->user, span_of(to));
			st->account = st->user;
			break;
		}
	}
	buf_free(&name);
	x->account = span_make(st->account.s, st->account.n);
}

enum auth_step auth_take_user(struct auth_exchange *x, struct span user)
{
	struct auth_state *st = x->state_;

	note_tried(x, user);
	if (!user.n || !name_set(&st->typed, user) || !name_set(&st->user, user))
		return auth_refuse(x, AUTH_ANSWER_WRONG,
				   "the user name is empty, too long, no UTF-8, or has control characters");
	find_account(x, user);
	if (x->channel->may_try && !x->channel->may_try(x->channel->arg, x->account))
		return auth_say(x, AUTH_TEMPORARY, "this user may not be tried now");
	return AUTH_WAITS;
}

enum auth_step auth_take_authzid(struct auth_exchange *x, struct span authzid)
{
	if (!name_set(&x->state_->authzid, authzid))
		return auth_refuse(
			x, AUTH_ANSWER_WRONG,
			"the authorization identity is too long, no UTF-8, or has control characters");
	return AUTH_WAITS;
}

/* ---- passwords ----------------------------------------------------------------------------------------- */

static enum auth_step ask(struct auth_exchange *x);

static enum auth_step answered(struct auth_exchange *x)
{
	struct auth_state *st = x->state_;
	const struct auth_check *c = &st->check;

	if (c->op.status < 0)
		return auth_say(x, AUTH_TEMPORARY, c->why[0] ? c->why : err_text(c->op.status));
	if (c->answer == AUTH_ANSWER_UNKNOWN_HERE)
		return ask(x);
	x->backend = x->server->backend[st->next_backend - 1]->ops->name;
	switch (c->answer) {
	case AUTH_ANSWER_RIGHT:
		x->identity = c->identity;
		return auth_done(x);
	case AUTH_ANSWER_WRONG:
	case AUTH_ANSWER_EXPIRED:
	case AUTH_ANSWER_LOCKED:
		return auth_refuse(x, c->answer, c->why);
	default:
		x->answer = AUTH_ANSWER_TEMPFAIL;
		return auth_say(x, AUTH_TEMPORARY, c->why);
	}
}

static void on_answer(struct op *op)
{
	struct auth_state *st = container_of(op, struct auth_state, check.op);
	struct auth_exchange *x = st->owner;

	auth_step_end(x, st->stopped ? AUTH_SAID : answered(x));
}

/* The next backend that checks passwords. */
static enum auth_step ask(struct auth_exchange *x)
{
	struct auth_state *st = x->state_;
	const struct auth_server *server = x->server;

	if (st->next_backend >= server->nbackends) {
		const char *why = st->check.why[0] ? st->check.why : "nobody here knows this user";
		return auth_refuse(x, AUTH_ANSWER_UNKNOWN_HERE, why);
	}
	struct auth_backend *b = server->backend[st->next_backend++];
	st->check = (struct auth_check){
		.user = span_make(st->user.s, st->user.n),
		.password = &st->password,
		.client = x->channel->client,
		.last = st->next_backend == server->nbackends,
	};
	op_init(&st->check.op, on_answer);
	const int err = b->ops->check(b, &st->check, st->scope);
	if (err < 0) {
		x->backend = b->ops->name;
		x->answer = AUTH_ANSWER_TEMPFAIL;
		return auth_say(x, AUTH_TEMPORARY, err_text(err));
	}
	return AUTH_WAITS;
}

/* The user is a part of it: the same password for another user is another try. */
static void note_secret(struct auth_exchange *x, struct span password)
{
	struct auth_state *st = x->state_;
	uint8_t key[32], mac[TLS_DIGEST_MAX];
	struct buf both = BUF_INIT(AUTH_USER_MAX + PASSWORD_MAX + 1);

	buf_reserve(&both, both.max);
	buf_add(&both, st->user.s, st->user.n);
	buf_add_char(&both, '\0');
	buf_add_span(&both, password);
	if (auth_process_key("secret_id", key) == 0 &&
	    tls_hmac(TLS_DIGEST_SHA256, span_make(key, sizeof key), buf_span(&both), mac) == 0) {
		memcpy(x->secret_id, mac, sizeof x->secret_id);
		x->has_secret_id = true;
	}
	buf_wipe(&both);
	tls_wipe(key, sizeof key);
}

enum auth_step auth_check_password(struct auth_exchange *x, struct span password)
{
	struct auth_state *st = x->state_;

	/* An empty one is nobody's, and some directories take it for "anonymous". */
	if (!password.n)
		return auth_refuse(x, AUTH_ANSWER_WRONG, "the password is empty");
	if (password.n > PASSWORD_MAX)
		return auth_refuse(x, AUTH_ANSWER_WRONG, "the password is too long");
	if (span_find_char(password, '\0') >= 0)
		return auth_say(x, AUTH_MALFORMED, "a NUL in the password");
	note_secret(x, password);
	secret_set(&st->password, password);
	st->next_backend = 0;
	return ask(x);
}

void auth_check_cancel(struct auth_exchange *x)
{
	op_cancel(&x->state_->check.op);
}
