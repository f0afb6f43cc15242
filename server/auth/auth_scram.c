#include "auth/auth_scram.h"

#include "auth/auth_scram_priv.h"
#include "base/base64.h"
#include "base/check.h"
#include "base/random.h"
#include "tls/tls_digest.h"

_Static_assert(AUTH_SCRAM_NONCE % 4 == 0, "nonces are whole groups of base64");

void auth_scram_nonce(char nonce[AUTH_SCRAM_NONCE])
{
	uint8_t octets[AUTH_SCRAM_NONCE / 4 * 3];
	struct buf text = BUF_INIT(AUTH_SCRAM_NONCE);

	random_bytes(octets, sizeof octets);
	require(base64_encode(&text, span_make(octets, sizeof octets)));
	memcpy(nonce, text.p, AUTH_SCRAM_NONCE);
	buf_free(&text);
}

int auth_scram_salted(struct span password, struct span salt, uint32_t iterations,
		      uint8_t salted[AUTH_SCRAM_KEY])
{
	return tls_pbkdf2(TLS_DIGEST_SHA256, password, salt, iterations, salted, AUTH_SCRAM_KEY);
}

int auth_scram_hmac(const uint8_t key[AUTH_SCRAM_KEY], struct span data, uint8_t out[AUTH_SCRAM_KEY])
{
	return tls_hmac(TLS_DIGEST_SHA256, span_make(key, AUTH_SCRAM_KEY), data, out);
}

/* RFC 5802 section 3. */
int auth_scram_keys(const uint8_t salted[AUTH_SCRAM_KEY], uint8_t stored_key[AUTH_SCRAM_KEY],
		    uint8_t server_key[AUTH_SCRAM_KEY])
{
	uint8_t client_key[AUTH_SCRAM_KEY];
	int err = auth_scram_hmac(salted, SPAN("Client Key"), client_key);

	if (err == 0)
		err = tls_digest(TLS_DIGEST_SHA256, span_make(client_key, sizeof client_key), stored_key);
	if (err == 0)
		err = auth_scram_hmac(salted, SPAN("Server Key"), server_key);
	tls_wipe(client_key, sizeof client_key);
	return err;
}

void auth_scram_init(struct auth_scram *s)
{
	*s = (struct auth_scram){
		.gs2 = BUF_INIT(AUTH_SCRAM_MESSAGE_MAX),
		.dialog = BUF_INIT(4 * AUTH_SCRAM_MESSAGE_MAX),
		.nonce = BUF_INIT(AUTH_SCRAM_MESSAGE_MAX),
		.names = BUF_INIT(AUTH_SCRAM_MESSAGE_MAX),
	};
}

void auth_scram_deinit(struct auth_scram *s)
{
	buf_wipe(&s->gs2);
	buf_wipe(&s->dialog);
	buf_wipe(&s->nonce);
	buf_wipe(&s->names);
	tls_wipe(s->server_signature, sizeof s->server_signature);
}

bool auth_scram_take(struct span *s, char name, struct span *value_r)
{
	if (s->n < 2 || s->p[0] != name || s->p[1] != '=')
		return false;
	*s = span_skip(*s, 2);
	*value_r = span_cut(s, ',');
	return true;
}

bool auth_scram_extensions(struct span s)
{
	while (s.p) {
		const struct span one = span_cut(&s, ',');
		if (one.n < 3 || !ascii_is_alpha(one.p[0]) || one.p[0] == 'm' || one.p[1] != '=')
			return false;
	}
	return true;
}

bool auth_scram_is_nonce(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x21 || s.p[i] > 0x7e || s.p[i] == ',')
			return false;
	return s.n > 0;
}

bool auth_scram_is_iterations(struct span s, uint32_t *iterations_r)
{
	uint64_t v;

	if (s.n == 0 || s.p[0] == '0' || !span_to_u64(s, UINT32_MAX, &v))
		return false;
	*iterations_r = (uint32_t)v;
	return true;
}

bool auth_scram_bound(const struct auth_scram *s, struct span binding, struct buf *out)
{
	struct buf both = BUF_INIT(AUTH_SCRAM_MESSAGE_MAX + AUTH_SCRAM_BINDING_MAX);
	const bool ok = buf_add_span(&both, buf_span(&s->gs2)) && buf_add_span(&both, binding) &&
			base64_encode(out, buf_span(&both));

	buf_free(&both);
	return ok;
}
