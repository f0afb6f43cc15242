/* Which certificates a name is served with. For every name in any of the certificates the set is worked out once: the first
 * certificate of each kind of key that covers it. So an RSA and an ECDSA certificate for one name stand side by side and OpenSSL
 * takes the one that the client can verify. Names of certificates are compared as RFC 6125 section 6.4.3 has it: a "*" is one
 * whole label, the first. */
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/tls_context_priv.h"

enum { NAMES_MAX = 2000, NAME_OCTETS_MAX = 253 };

/* The names of one certificate: its dNSNames, or for want of them its common name. */
struct held {
	struct span v[NAMES_MAX];
	size_t n;
	GENERAL_NAMES *alt; /* what @v points into */
};

static struct span text_of(const ASN1_STRING *s)
{
	return span_make(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

static void hold(struct held *h, const ASN1_STRING *s)
{
	const struct span name = text_of(s);

	if (name.n > 0 && name.n <= NAME_OCTETS_MAX && span_find_char(name, 0) < 0 && h->n < NAMES_MAX)
		h->v[h->n++] = name;
}

static void hold_names(struct held *h, X509 *x)
{
	h->n = 0;
	h->alt = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; h->alt && i < sk_GENERAL_NAME_num(h->alt); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(h->alt, i);
		if (name->type == GEN_DNS)
			hold(h, name->d.dNSName);
	}
	const X509_NAME *subject = X509_get_subject_name(x);
	const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (h->n == 0 && at >= 0)
		hold(h, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

static void let_go(struct held *h)
{
	GENERAL_NAMES_free(h->alt);
	h->alt = NULL;
}

/* "mx.example.org" -> ".example.org"; empty when there is nothing behind the first label. */
static struct span behind_label(struct span name)
{
	const ptrdiff_t dot = span_find_char(name, '.');

	return dot > 0 ? span_skip(name, (size_t)dot) : (struct span){ 0 };
}

static bool covers(struct span pattern, struct span name)
{
	if (span_ieq(pattern, name))
		return true;
	return span_starts(pattern, SPAN("*.")) && !span_starts(name, SPAN("*")) &&
	       span_ieq(span_skip(pattern, 1), behind_label(name));
}

static bool any_covers(const struct held *h, struct span name)
{
	for (size_t i = 0; i < h->n; i++)
		if (covers(h->v[i], name))
			return true;
	return false;
}

/* Adds certificate @at to @mask unless one with its kind of key is there. */
static tls_cert_mask add_kind(tls_cert_mask mask, const struct tls_pair *pairs, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if ((mask >> i & 1) &&
		    EVP_PKEY_get_base_id(pairs[i].key) == EVP_PKEY_get_base_id(pairs[at].key))
			return mask;
	return mask | (tls_cert_mask)1 << at;
}

static tls_cert_mask mask_of(const struct held *held, const struct tls_pair *pairs, size_t n,
			     struct span name)
{
	tls_cert_mask mask = 0;

	for (size_t i = 0; i < n; i++)
		if (any_covers(&held[i], name))
			mask = add_kind(mask, pairs, i);
	return mask;
}

/* Who asks for nothing gets the first certificate, and beside it those of other kinds that share a name with it. */
static tls_cert_mask first_mask(const struct held *held, const struct tls_pair *pairs, size_t n)
{
	tls_cert_mask mask = 1;

	for (size_t i = 1; i < n; i++)
		for (size_t k = 0; k < held[0].n; k++)
			if (any_covers(&held[i], held[0].v[k]) && !(mask >> i & 1))
				mask = add_kind(mask, pairs, i);
	return mask;
}

static const struct tls_name *exact(const struct tls_names *names, struct span name)
{
	for (size_t i = 0; i < names->n; i++)
		if (span_ieq(span_of(names->v[i].name), name))
			return &names->v[i];
	return NULL;
}

int tls_names_init(struct tls_names *names, const struct tls_pair *pairs, size_t n, struct errtext *e)
{
	struct held *held = mem_alloc_array(n, sizeof *held);
	int err = 0;

	*names = (struct tls_names){ .v = mem_alloc_array(NAMES_MAX, sizeof *names->v) };
	for (size_t i = 0; i < n; i++)
		hold_names(&held[i], pairs[i].cert);
	for (size_t i = 0; i < n && !err; i++)
		for (size_t k = 0; k < held[i].n && !err; k++) {
			const struct span name = held[i].v[k];
			if (exact(names, name))
				continue;
			if (names->n == NAMES_MAX) {
				err = errtext_set(e, ERR_TOOBIG, "the certificates have more than %d names",
						  NAMES_MAX);
				break;
			}
			names->v[names->n++] = (struct tls_name){ .name = mem_strndup(name.p, name.n),
								  .certs = mask_of(held, pairs, n, name) };
		}
	names->first = first_mask(held, pairs, n);
	for (size_t i = 0; i < n; i++)
		let_go(&held[i]);
	free(held);
	names->v = mem_realloc(names->v, names->n * sizeof *names->v);
	if (err)
		tls_names_deinit(names);
	return err;
}

void tls_names_deinit(struct tls_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i].name);
	free(names->v);
	*names = (struct tls_names){ 0 };
}

tls_cert_mask tls_names_find(const struct tls_names *names, struct span name)
{
	const struct tls_name *found = exact(names, name);

	for (size_t i = 0; i < names->n && !found; i++)
		if (covers(span_of(names->v[i].name), name))
			found = &names->v[i];
	return found ? found->certs : names->first;
}
