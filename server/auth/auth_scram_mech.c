/* SCRAM-SHA-256 and -PLUS in an AUTH command:
 *
 *   1. the client's first message names the user; a backend that keeps verifiers is asked for his, from memory
 *   2. salt and count go out; of a user whom nobody knows too, and always the same for one name, so that no one learns who is here
 *   3. the client's proof is checked; "v=", the server's own, goes out as a challenge, for 235 has no room for it
 *   4. the client's answer to that is empty
 *
 * It fails when the channel binding is not what both ends of this channel must have (also a client that says it could bind,
 * but that we could not: somebody took -PLUS out of our EHLO), when the proof is wrong, and at the end for users that nobody knows.
 */
#include "auth/auth_priv.h"
#include "auth/auth_saslprep.h"
#include "base/check.h"
#include "tls/tls_digest.h"

static void begin_scram(struct auth_exchange *x)
{
	auth_scram_init(&x->state_->m.scram.scram);
}

static void end_scram(struct auth_exchange *x)
{
	auth_scram_deinit(&x->state_->m.scram.scram);
}

static enum auth_step failed(struct auth_exchange *x, int err)
{
	switch (err) {
	case -ERR_SYNTAX:
		return auth_say(x, AUTH_MALFORMED, "not a message of SCRAM (RFC 5802 section 7)");
	case -ERR_TOOBIG:
		return auth_say(x, AUTH_TOO_LONG, "the message is too long");
	case -ERR_UNSUPPORTED:
		return auth_refuse(x, AUTH_ANSWER_WRONG,
				   "the client wants an extension of SCRAM that we do not have");
	case -ERR_DENIED:
		return auth_refuse(x, AUTH_ANSWER_WRONG, "the proof or the channel binding is wrong");
	default:
		return auth_say(x, AUTH_TEMPORARY, err_text(err));
	}
}

/* ---- the user ------------------------------------------------------------------------------------------ */

/* A salt that looks like the others and is always the same for one name (RFC 5802 section 9). A backend that keeps a key for
 * this in its file has filled it in already, so that it stays the same over restarts and nodes. */
static int pretend(struct span user, struct auth_verifier *v)
{
	uint8_t key[32], mac[TLS_DIGEST_MAX];
	int err = 0;

	if (v->nsalt == 0) {
		err = auth_process_key("scram salt", key);
		if (err == 0)
			err = tls_hmac(TLS_DIGEST_SHA256, span_make(key, sizeof key), user, mac);
		if (err == 0) {
			memcpy(v->salt, mac, AUTH_SCRAM_SALT);
			v->nsalt = AUTH_SCRAM_SALT;
			v->iterations = AUTH_SCRAM_ITERATIONS;
		}
	}
	/* Keys that no proof fits, for the check is made all the same. */
	if (err == 0)
		err = tls_random(v->stored_key, sizeof v->stored_key);
	return err;
}

static int find_verifier(struct auth_exchange *x, struct span user)
{
	struct auth_verifier *v = &x->state_->m.scram.verifier, fake = { .answer = AUTH_ANSWER_UNKNOWN_HERE };

	for (unsigned i = 0; i < x->server->nbackends; i++) {
		struct auth_backend *b = x->server->backend[i];
		if (!b->ops->verifier)
			continue;
		*v = (struct auth_verifier){ .answer = AUTH_ANSWER_UNKNOWN_HERE };
		b->ops->verifier(b, user, v);
		if (v->answer != AUTH_ANSWER_UNKNOWN_HERE) {
			x->backend = b->ops->name;
			return 0;
		}
		if (fake.nsalt == 0)
			fake = *v;
	}
	*v = fake;
	return pretend(user, v);
}

/* ---- channel binding ----------------------------------------------------------------------------------- */

/* RFC 5802 section 6. */
static enum auth_step take_binding(struct auth_exchange *x, const struct auth_scram_hello *hello)
{
	static const struct span kinds[] = { SPAN_INIT("tls-exporter"), SPAN_INIT("tls-server-end-point"),
					     SPAN_INIT("tls-unique") };
	struct auth_scram_step *s = &x->state_->m.scram;
	const bool plus = x->mech == AUTH_MECH_SCRAM_SHA_256_PLUS;

	if (plus != (hello->binding == AUTH_SCRAM_BINDING_USED))
		return auth_say(x, AUTH_MALFORMED,
				"the mechanism and its channel binding flag do not go together");
	if (hello->binding == AUTH_SCRAM_BINDING_UNKNOWN &&
	    (auth_offered(x->server, x->channel) >> AUTH_MECH_SCRAM_SHA_256_PLUS & 1))
		return auth_refuse(
			x, AUTH_ANSWER_WRONG,
			"the client was not told of SCRAM-SHA-256-PLUS, which we offer: somebody is between us");
	if (!plus)
		return AUTH_WAITS;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!span_eq(kinds[i], hello->binding_type))
			continue;
		const int n = x->channel->binding(x->channel->arg, kinds[i], s->binding, sizeof s->binding);
		if (n <= 0)
			break;
		s->nbinding = (size_t)n;
		return AUTH_WAITS;
	}
	return auth_refuse(x, AUTH_ANSWER_WRONG, "a kind of channel binding that this connection has not");
}

/* ---- messages ------------------------------------------------------------------------------------------ */

static enum auth_step take_first(struct auth_exchange *x, struct span in)
{
	struct auth_state *st = x->state_;
	struct auth_scram_step *s = &st->m.scram;
	struct buf user = BUF_INIT(AUTH_SCRAM_MESSAGE_MAX);
	struct auth_scram_hello hello;
	char nonce[AUTH_SCRAM_NONCE];
	int err = auth_scram_server_first(&s->scram, in, &hello);

	if (err < 0)
		return failed(x, err);
	if (take_binding(x, &hello) == AUTH_SAID || auth_take_authzid(x, hello.authzid) == AUTH_SAID ||
	    auth_take_user(x, hello.user) == AUTH_SAID)
		return AUTH_SAID;
	/* RFC 5802 section 5.1: prepared to be looked up, as received in the proofs. */
	if (auth_saslprep(span_make(st->user.s, st->user.n), &user) < 0) {
		buf_free(&user);
		return auth_refuse(x, AUTH_ANSWER_WRONG, "the user name cannot be prepared (RFC 4013)");
	}
	err = find_verifier(x, buf_span(&user));
	buf_free(&user);
	auth_scram_nonce(nonce);
	buf_reset(&st->challenge);
	if (err == 0)
		err = auth_scram_server_challenge(&s->scram, span_make(nonce, sizeof nonce),
						  span_make(s->verifier.salt, s->verifier.nsalt),
						  s->verifier.iterations, &st->challenge);
	if (err < 0)
		return failed(x, err);
	s->at = AUTH_SCRAM_FINAL;
	return auth_challenge(x, buf_span(&st->challenge));
}

static enum auth_step take_final(struct auth_exchange *x, struct span in)
{
	struct auth_state *st = x->state_;
	struct auth_scram_step *s = &st->m.scram;
	const struct auth_verifier *v = &s->verifier;

	buf_reset(&st->challenge);
	const int err = auth_scram_server_final(&s->scram, in, span_make(s->binding, s->nbinding),
						v->stored_key, v->server_key, &st->challenge);
	if (err == -ERR_DENIED && v->answer == AUTH_ANSWER_UNKNOWN_HERE)
		return auth_refuse(x, v->answer, "nobody here has a verifier of this user");
	if (err < 0)
		return failed(x, err);
	if (v->answer != AUTH_ANSWER_RIGHT)
		return auth_refuse(x, v->answer, "the proof is right, the account is not usable");
	x->identity = v->identity;
	s->at = AUTH_SCRAM_PROVEN;
	return auth_challenge(x, buf_span(&st->challenge));
}

static enum auth_step step_scram(struct auth_exchange *x, struct span in)
{
	switch (x->state_->m.scram.at) {
	case AUTH_SCRAM_FIRST:
		return take_first(x, in);
	case AUTH_SCRAM_FINAL:
		return take_final(x, in);
	default:
		return in.n ? auth_say(x, AUTH_MALFORMED, "more than SCRAM has") : auth_done(x);
	}
}

const struct auth_mechanism auth_mechanism_scram = { .step = step_scram,
						     .begin = begin_scram,
						     .deinit = end_scram };
