/* The server's side of SCRAM: the first message is taken apart, and what both have said is kept as AuthMessage, of which the
 * proofs are made. */
#include "auth/auth_scram_priv.h"
#include "base/base64.h"
#include "base/check.h"
#include "base/utf8.h"
#include "tls/tls_digest.h"

/* RFC 5802 section 5.1: a comma is "=2C", an equals sign "=3D", and nothing else begins with one. */
static int add_saslname(struct buf *out, struct span s)
{
	if (s.n == 0 || !utf8_valid(s))
		return -ERR_SYNTAX;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '\0')
			return -ERR_SYNTAX;
		if (c == '=') {
			const struct span code = span_first(span_skip(s, i), 3);
			if (!span_eq(code, SPAN("=2C")) && !span_eq(code, SPAN("=3D")))
				return -ERR_SYNTAX;
			c = code.p[1] == '2' ? ',' : '=';
			i += 2;
		}
		if (!buf_add_char(out, c))
			return -ERR_TOOBIG;
	}
	return 0;
}

/* gs2-cbind-flag: "n", "y" or "p=" and a name; takes it and its comma off. */
static int take_binding(struct span *s, struct auth_scram_hello *hello)
{
	const struct span flag = span_cut(s, ',');

	if (!s->p)
		return -ERR_SYNTAX;
	if (span_eq(flag, SPAN("n"))) {
		hello->binding = AUTH_SCRAM_BINDING_NONE;
	} else if (span_eq(flag, SPAN("y"))) {
		hello->binding = AUTH_SCRAM_BINDING_UNKNOWN;
	} else if (span_starts(flag, SPAN("p=")) && flag.n > 2) {
		hello->binding = AUTH_SCRAM_BINDING_USED;
		hello->binding_type = span_skip(flag, 2);
	} else {
		return -ERR_SYNTAX;
	}
	for (size_t i = 0; i < hello->binding_type.n; i++) {
		const char c = hello->binding_type.p[i];
		if (!ascii_is_alnum(c) && c != '.' && c != '-')
			return -ERR_SYNTAX;
	}
	return 0;
}

/* client-first-message-bare: user and nonce; extensions behind them are not for us. */
static int take_bare(struct auth_scram *s, struct span bare)
{
	struct span user, nonce;

	if (span_starts(bare, SPAN("m=")))
		return -ERR_UNSUPPORTED; /* RFC 5802 section 5.1: must fail */
	if (!auth_scram_take(&bare, 'n', &user) || !auth_scram_take(&bare, 'r', &nonce))
		return -ERR_SYNTAX;
	if (!auth_scram_is_nonce(nonce) || !auth_scram_extensions(bare))
		return -ERR_SYNTAX;
	buf_add_span(&s->nonce, nonce);
	return add_saslname(&s->names, user);
}

int auth_scram_server_first(struct auth_scram *s, struct span message, struct auth_scram_hello *hello_r)
{
	struct auth_scram_hello hello = { .binding = AUTH_SCRAM_BINDING_NONE };
	struct span rest = message, authzid = { NULL, 0 };
	int err;

	if (message.n > AUTH_SCRAM_MESSAGE_MAX)
		return -ERR_TOOBIG;
	err = take_binding(&rest, &hello);
	if (err < 0)
		return err;
	const struct span name = span_cut(&rest, ',');
	if (!rest.p || (name.n && !span_starts(name, SPAN("a="))))
		return -ERR_SYNTAX;
	buf_reset(&s->gs2);
	buf_reset(&s->names);
	buf_reset(&s->nonce);
	buf_reset(&s->dialog);
	if (name.n > 2) /* "a=" alone is what GNU SASL says when it was given an empty one */
		err = add_saslname(&s->names, span_skip(name, 2));
	if (err < 0)
		return err;
	const size_t nauthzid = s->names.n;
	buf_add(&s->gs2, message.p, message.n - rest.n);
	buf_add_span(&s->dialog, rest);
	err = take_bare(s, rest);
	if (err < 0)
		return err;
	authzid = span_first(buf_span(&s->names), nauthzid);
	hello.authzid = authzid;
	hello.user = span_skip(buf_span(&s->names), nauthzid);
	if (hello.binding == AUTH_SCRAM_BINDING_USED) /* ours, not the message's */
		hello.binding_type = span_first(span_skip(buf_span(&s->gs2), 2), hello.binding_type.n);
	*hello_r = hello;
	return 0;
}

int auth_scram_server_challenge(struct auth_scram *s, struct span nonce, struct span salt,
				uint32_t iterations, struct buf *out)
{
	const size_t before = out->n;

	buf_add_span(&s->nonce, nonce);
	buf_add_str(out, "r=");
	buf_add_span(out, buf_span(&s->nonce));
	buf_add_str(out, ",s=");
	base64_encode(out, salt);
	buf_add_str(out, ",i=");
	buf_add_u64(out, iterations);
	buf_add_char(&s->dialog, ',');
	buf_add_span(&s->dialog, span_skip(buf_span(out), before));
	return out->overflow || s->dialog.overflow || s->nonce.overflow ? -ERR_TOOBIG : 0;
}

/* Whose hash is StoredKey, sent this: ClientProof XOR ClientSignature is ClientKey (RFC 5802 section 3). */
static int check_proof(const struct auth_scram *s, struct span proof,
		       const uint8_t stored_key[AUTH_SCRAM_KEY])
{
	uint8_t key[AUTH_SCRAM_KEY], hash[AUTH_SCRAM_KEY];
	int err = auth_scram_hmac(stored_key, buf_span(&s->dialog), key);

	for (size_t i = 0; i < sizeof key; i++)
		key[i] ^= (uint8_t)proof.p[i];
	if (err == 0)
		err = tls_digest(TLS_DIGEST_SHA256, span_make(key, sizeof key), hash);
	if (err == 0 && !tls_equal(hash, stored_key, sizeof hash))
		err = -ERR_DENIED;
	tls_wipe(key, sizeof key);
	return err;
}

static int take_final(struct auth_scram *s, struct span message, struct span binding, struct buf *proof)
{
	struct span rest = message, bound, nonce;
	struct buf want = BUF_INIT(2 * AUTH_SCRAM_MESSAGE_MAX);
	const ptrdiff_t at = span_rfind_char(message, ',');
	int err = 0;

	if (at < 0 || !span_starts(span_skip(message, (size_t)at), SPAN(",p=")))
		return -ERR_SYNTAX;
	const struct span without = span_first(message, (size_t)at);
	rest = without;
	if (!auth_scram_take(&rest, 'c', &bound) || !auth_scram_take(&rest, 'r', &nonce) ||
	    !auth_scram_extensions(rest))
		return -ERR_SYNTAX;
	if (base64_decode(proof, span_skip(message, (size_t)at + 3)) < 0 || proof->n != AUTH_SCRAM_KEY)
		return -ERR_SYNTAX;
	/* RFC 5802 sections 5.1 and 6: both are always validated. */
	if (!auth_scram_bound(s, binding, &want) || !span_eq(bound, buf_span(&want)) ||
	    !span_eq(nonce, buf_span(&s->nonce)))
		err = -ERR_DENIED;
	buf_free(&want);
	buf_add_char(&s->dialog, ',');
	buf_add_span(&s->dialog, without);
	return err;
}

int auth_scram_server_final(struct auth_scram *s, struct span message, struct span binding,
			    const uint8_t stored_key[AUTH_SCRAM_KEY],
			    const uint8_t server_key[AUTH_SCRAM_KEY], struct buf *out)
{
	struct buf proof = BUF_INIT(AUTH_SCRAM_MESSAGE_MAX);
	int err = message.n > AUTH_SCRAM_MESSAGE_MAX ? -ERR_TOOBIG : take_final(s, message, binding, &proof);

	if (err == 0)
		err = check_proof(s, buf_span(&proof), stored_key);
	if (err == 0)
		err = auth_scram_hmac(server_key, buf_span(&s->dialog), s->server_signature);
	if (err == 0) {
		buf_add_str(out, "v=");
		if (!base64_encode(out, span_make(s->server_signature, AUTH_SCRAM_KEY)))
			err = -ERR_TOOBIG;
	}
	buf_wipe(&proof);
	return err;
}
