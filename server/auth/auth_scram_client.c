/* The client's side of SCRAM. */
#include "auth/auth_scram_priv.h"
#include "base/base64.h"
#include "tls/tls_digest.h"

static void add_saslname(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == ',')
			buf_add_str(out, "=2C");
		else if (s.p[i] == '=')
			buf_add_str(out, "=3D");
		else
			buf_add_char(out, s.p[i]);
	}
}

int auth_scram_client_first(struct auth_scram *s, const struct auth_scram_hello *hello, struct span nonce,
			    struct buf *out)
{
	buf_reset(&s->gs2);
	buf_reset(&s->dialog);
	buf_reset(&s->nonce);
	if (hello->binding == AUTH_SCRAM_BINDING_USED) {
		buf_add_str(&s->gs2, "p=");
		buf_add_span(&s->gs2, hello->binding_type);
	} else {
		buf_add_char(&s->gs2, hello->binding == AUTH_SCRAM_BINDING_UNKNOWN ? 'y' : 'n');
	}
	buf_add_char(&s->gs2, ',');
	if (hello->authzid.n) {
		buf_add_str(&s->gs2, "a=");
		add_saslname(&s->gs2, hello->authzid);
	}
	buf_add_char(&s->gs2, ',');
	buf_add_span(&s->nonce, nonce);
	buf_add_str(&s->dialog, "n=");
	add_saslname(&s->dialog, hello->user);
	buf_add_str(&s->dialog, ",r=");
	buf_add_span(&s->dialog, nonce);
	buf_add_span(out, buf_span(&s->gs2));
	buf_add_span(out, buf_span(&s->dialog));
	return out->overflow || s->gs2.overflow || s->dialog.overflow || s->nonce.overflow ? -ERR_TOOBIG : 0;
}

int auth_scram_client_challenge(struct auth_scram *s, struct span message, struct buf *salt_r,
				uint32_t *iterations_r)
{
	struct span rest = message, nonce, salt, count;
	uint32_t iterations;

	if (message.n > AUTH_SCRAM_MESSAGE_MAX)
		return -ERR_TOOBIG;
	if (span_starts(rest, SPAN("m=")))
		return -ERR_UNSUPPORTED; /* RFC 5802 section 5.1: must fail */
	if (!auth_scram_take(&rest, 'r', &nonce) || !auth_scram_take(&rest, 's', &salt) ||
	    !auth_scram_take(&rest, 'i', &count) || !auth_scram_extensions(rest))
		return -ERR_SYNTAX;
	if (!auth_scram_is_nonce(nonce) || !auth_scram_is_iterations(count, &iterations))
		return -ERR_SYNTAX;
	/* RFC 5802 section 5.1: it begins with ours; and without a part of the server's, an old dialogue could be played again. */
	if (!span_starts(nonce, buf_span(&s->nonce)) || nonce.n == s->nonce.n)
		return -ERR_DENIED;
	/* Fewer make the password cheap to guess for who reads along; many more are an attack on our time. */
	if (iterations < AUTH_SCRAM_ITERATIONS_MIN || iterations > AUTH_SCRAM_ITERATIONS_MAX)
		return -ERR_UNSUPPORTED;
	const int err = base64_decode(salt_r, salt);
	if (err < 0)
		return err;
	buf_reset(&s->nonce);
	buf_add_span(&s->nonce, nonce);
	buf_add_char(&s->dialog, ',');
	buf_add_span(&s->dialog, message);
	if (s->nonce.overflow || s->dialog.overflow)
		return -ERR_TOOBIG;
	*iterations_r = iterations;
	return 0;
}

/* ClientProof = ClientKey XOR HMAC(StoredKey, AuthMessage); and what the server will have to answer. */
static int make_proof(struct auth_scram *s, const uint8_t salted[AUTH_SCRAM_KEY],
		      uint8_t proof[AUTH_SCRAM_KEY])
{
	uint8_t client_key[AUTH_SCRAM_KEY], stored_key[AUTH_SCRAM_KEY], server_key[AUTH_SCRAM_KEY];
	int err = auth_scram_hmac(salted, SPAN("Client Key"), client_key);

	if (err == 0)
		err = auth_scram_keys(salted, stored_key, server_key);
	if (err == 0)
		err = auth_scram_hmac(stored_key, buf_span(&s->dialog), proof);
	if (err == 0)
		err = auth_scram_hmac(server_key, buf_span(&s->dialog), s->server_signature);
	for (size_t i = 0; err == 0 && i < AUTH_SCRAM_KEY; i++)
		proof[i] ^= client_key[i];
	tls_wipe(client_key, sizeof client_key);
	tls_wipe(stored_key, sizeof stored_key);
	tls_wipe(server_key, sizeof server_key);
	return err;
}

int auth_scram_client_final(struct auth_scram *s, const uint8_t salted[AUTH_SCRAM_KEY], struct span binding,
			    struct buf *out)
{
	uint8_t proof[AUTH_SCRAM_KEY];
	const size_t before = out->n;

	buf_add_str(out, "c=");
	if (!auth_scram_bound(s, binding, out))
		return -ERR_TOOBIG;
	buf_add_str(out, ",r=");
	buf_add_span(out, buf_span(&s->nonce));
	buf_add_char(&s->dialog, ',');
	buf_add_span(&s->dialog, span_skip(buf_span(out), before));
	const int err = out->overflow || s->dialog.overflow ? -ERR_TOOBIG : make_proof(s, salted, proof);
	if (err < 0)
		return err;
	buf_add_str(out, ",p=");
	return base64_encode(out, span_make(proof, sizeof proof)) ? 0 : -ERR_TOOBIG;
}

int auth_scram_client_verify(struct auth_scram *s, struct span message, struct span *why_r)
{
	struct buf signature = BUF_INIT(AUTH_SCRAM_MESSAGE_MAX);
	struct span value, rest = message;
	int err = -ERR_SYNTAX;

	if (auth_scram_take(&rest, 'e', &value)) {
		*why_r = value;
		return -ERR_DENIED;
	}
	rest = message;
	if (auth_scram_take(&rest, 'v', &value) && auth_scram_extensions(rest))
		err = base64_decode(&signature, value);
	if (err == 0 &&
	    (signature.n != AUTH_SCRAM_KEY || !tls_equal(signature.p, s->server_signature, AUTH_SCRAM_KEY))) {
		*why_r = SPAN("the server's signature is wrong: it does not know this password");
		err = -ERR_DENIED;
	}
	buf_wipe(&signature);
	return err;
}
