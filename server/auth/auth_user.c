#include "auth/auth_user.h"

#include "auth/auth_saslprep.h"
#include "auth/auth_scram.h"
#include "base/base64.h"
#include "tls/tls_digest.h"

enum { SALT = 16 };

_Static_assert((int)SALT <= (int)AUTH_USER_SALT_MAX, "the salt fits");

static int derive(const struct auth_user_hash *h, struct span password, uint8_t out[AUTH_USER_HASH])
{
	return tls_scrypt(password, span_make(h->salt, h->nsalt), UINT64_C(1) << h->log_n, h->r, h->p, out,
			  AUTH_USER_HASH);
}

int auth_user_set_password(struct auth_user *u, struct span password)
{
	struct auth_user_hash h = {
		.log_n = AUTH_USER_LOG_N, .r = AUTH_USER_R, .p = AUTH_USER_P, .nsalt = SALT
	};
	struct auth_user_scram v = { .iterations = AUTH_SCRAM_ITERATIONS, .nsalt = AUTH_SCRAM_SALT };
	uint8_t salted[AUTH_SCRAM_KEY];
	int err = tls_random(h.salt, h.nsalt);

	if (err == 0)
		err = tls_random(v.salt, v.nsalt);
	if (err == 0)
		err = derive(&h, password, h.hash);
	if (err == 0)
		err = auth_scram_salted(password, span_make(v.salt, v.nsalt), v.iterations, salted);
	if (err == 0)
		err = auth_scram_keys(salted, v.stored_key, v.server_key);
	tls_wipe(salted, sizeof salted);
	if (err < 0)
		return err;
	u->hash = h;
	u->scram = v;
	return 0;
}

int auth_user_check_password(const struct auth_user_hash *h, struct span password)
{
	static const struct auth_user_hash nobody = {
		.log_n = AUTH_USER_LOG_N, .r = AUTH_USER_R, .p = AUTH_USER_P, .nsalt = SALT
	};
	uint8_t got[AUTH_USER_HASH];
	const int err = derive(h->log_n ? h : &nobody, password, got);
	const bool right = err == 0 && h->log_n && tls_equal(got, h->hash, sizeof got);

	tls_wipe(got, sizeof got);
	return err < 0 ? err : right;
}

/* ---- text ---------------------------------------------------------------------------------------------- */

/* The next part, up to ":" or the end, of base64. False unless it has @min to @max octets. */
static bool take_octets(struct span *s, size_t min, size_t max, uint8_t *out, uint8_t *n_r)
{
	struct buf octets = BUF_INIT(128);
	const bool ok =
		s->p && base64_decode(&octets, span_cut(s, ':')) == 0 && octets.n >= min && octets.n <= max;

	if (ok) {
		memcpy(out, octets.p, octets.n);
		if (n_r)
			*n_r = (uint8_t)octets.n;
	}
	buf_free(&octets);
	return ok;
}

static bool take_number(struct span *s, uint64_t min, uint64_t max, uint64_t *v_r)
{
	return s->p && span_to_u64(span_cut(s, ':'), max, v_r) && *v_r >= min;
}

int auth_user_hash_parse(struct span s, struct auth_user_hash *h_r)
{
	struct auth_user_hash h = { 0 };
	uint64_t log_n, r, p;

	if (!span_eq(span_cut(&s, ':'), SPAN("scrypt")) || !take_number(&s, 1, 63, &log_n) ||
	    !take_number(&s, 1, 255, &r) || !take_number(&s, 1, 255, &p) ||
	    !take_octets(&s, 8, sizeof h.salt, h.salt, &h.nsalt) ||
	    !take_octets(&s, sizeof h.hash, sizeof h.hash, h.hash, NULL) || s.p)
		return -ERR_SYNTAX;
	if (log_n > 30 || (128 * r) << log_n > AUTH_USER_MEMORY_MAX || p > AUTH_USER_P_MAX)
		return -ERR_TOOBIG;
	h.log_n = (uint8_t)log_n;
	h.r = (uint8_t)r;
	h.p = (uint8_t)p;
	*h_r = h;
	return 0;
}

int auth_user_scram_parse(struct span s, struct auth_user_scram *v_r)
{
	struct auth_user_scram v = { 0 };
	uint64_t iterations;

	if (!take_number(&s, 1, UINT32_MAX, &iterations) ||
	    !take_octets(&s, 8, sizeof v.salt, v.salt, &v.nsalt) ||
	    !take_octets(&s, sizeof v.stored_key, sizeof v.stored_key, v.stored_key, NULL) ||
	    !take_octets(&s, sizeof v.server_key, sizeof v.server_key, v.server_key, NULL) || s.p)
		return -ERR_SYNTAX;
	if (iterations < AUTH_SCRAM_ITERATIONS_MIN || iterations > AUTH_SCRAM_ITERATIONS_MAX)
		return -ERR_TOOBIG;
	v.iterations = (uint32_t)iterations;
	*v_r = v;
	return 0;
}

static void add_octets(struct buf *out, const uint8_t *p, size_t n)
{
	buf_add_char(out, ':');
	base64_encode(out, span_make(p, n));
}

void auth_user_hash_format(const struct auth_user_hash *h, struct buf *out)
{
	buf_addf(out, "scrypt:%u:%u:%u", h->log_n, h->r, h->p);
	add_octets(out, h->salt, h->nsalt);
	add_octets(out, h->hash, sizeof h->hash);
}

void auth_user_scram_format(const struct auth_user_scram *v, struct buf *out)
{
	buf_addf(out, "%u", (unsigned)v->iterations);
	add_octets(out, v->salt, v->nsalt);
	add_octets(out, v->stored_key, sizeof v->stored_key);
	add_octets(out, v->server_key, sizeof v->server_key);
}

bool auth_user_is_name(struct span s)
{
	struct buf prepared = BUF_INIT(AUTH_USER_MAX);
	const bool ok = s.n > 0 && s.n < AUTH_USER_MAX && auth_saslprep(s, &prepared) == 0 &&
			span_eq(s, buf_span(&prepared));

	buf_free(&prepared);
	return ok;
}
